"""`dataset`: collect what networks are trained with, look through it, and take it to other trainers."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.cli.files import existing, mask_for, pictures_in, printable, with_bar
from clickpaint.cli.options import add_command, add_host_options, add_prompt_options, prompts_of, studio_of
from clickpaint.errors import InvalidInput
from clickpaint.settings import SETTINGS
from clickpaint.train.dataset.examples import LAYOUTS

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.image.picture import Picture
    from clickpaint.studio.studio import Studio
    from clickpaint.studio.training_data import WorkedThrough

_DATA = "a data set's name, or a folder with one in any usual layout"


def add_commands(commands: Any) -> None:
    group = commands.add_parser(
        "dataset", help="collect what networks are trained with", description="Collect what networks are trained with."
    )
    family = group.add_subparsers(metavar="COMMAND", required=True)

    new = add_command(family, "new", make, "make an empty data set")
    _add_name(new)
    new.add_argument("--trigger", default="", metavar="WORD", help="what the object is to be called by in prompts")

    add = add_command(family, "add", add_pictures, "keep a picture, or each one of a folder, with the mask of an object in it")
    _add_name(add)
    add.add_argument("image", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures, which all get the same points")
    add_prompt_options(add)
    add.add_argument("--mask", type=Path, metavar="FILE", help="the object: white, or alpha; for a folder of pictures also a folder")
    add.add_argument("--find", metavar="PHRASE", help="the object is what this phrase names in each picture")
    add.add_argument(
        "--caption", metavar="TEXT", help="what is said of it; otherwise NAME.txt beside the picture, or what a captioner says"
    )
    add.add_argument("--repeats", type=int, default=1, metavar="N", help="how often it comes in an epoch (%(default)s)")
    add.add_argument("--before", type=Path, metavar="FILE", help="the picture before the edit that the caption names, or a folder of them")
    add.add_argument("--preprocessor", metavar="NAME", help="also keep this control map of it, for a ControlNet")

    add_command(family, "list", list_sets, "list the data sets that there are")

    inspect = add_command(family, "inspect", inspect_set, "mark duplicates, blurred and tiny objects, and show the balance")
    inspect.add_argument("data", metavar="DATA", help=_DATA)
    inspect.add_argument("--resolution", type=int, default=512, metavar="N", help="that it is to be trained at (%(default)s)")
    inspect.add_argument("--json", action="store_true", help="all that is known, as JSON")

    caption = add_command(family, "caption", caption_set, "describe the examples, each by its object")
    _add_name(caption)
    caption.add_argument("--captioner", metavar="NAME", help=SETTINGS["captioner"].help)
    caption.add_argument("--overwrite", action="store_true", help="also those that have a caption")
    caption.add_argument("--set", action="append", default=[], metavar="ID=TEXT", help="give this example this caption; may be repeated")

    mask = add_command(family, "mask", mask_set, "select what a phrase names in all examples")
    _add_name(mask)
    mask.add_argument("phrase", metavar="PHRASE", help="for example: the dog")
    mask.add_argument("--segmenter", metavar="NAME", help=SETTINGS["segmenter"].help)
    mask.add_argument("--overwrite", action="store_true", help="also those that have a mask")

    export = add_command(family, "export", export_set, "write a data set into a folder for another trainer")
    export.add_argument("data", metavar="DATA", help=_DATA)
    layouts = "; ".join(f"{name}: {what}" for name, what in LAYOUTS.items())
    export.add_argument("--layout", choices=LAYOUTS, default="imagefolder", help=f"{layouts} (%(default)s)")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new or empty folder")

    take = add_command(family, "import", import_set, "copy a folder in any usual layout into the data sets")
    take.add_argument("folder", type=Path, metavar="FOLDER", help="with pictures, and words, masks or tables beside them")
    take.add_argument("--name", metavar="NAME", help="of the data set, which may be there (the folder's name)")
    take.add_argument("--trigger", metavar="WORD", help="for a new data set; otherwise the folder's own, where it has one")

    remove = add_command(family, "remove", remove_examples, "delete a data set, or some of its examples")
    _add_name(remove)
    remove.add_argument("id", nargs="*", metavar="ID", help="of an example; none for the whole data set")

    for parser in (new, add, inspect, caption, mask, export, take, remove, family.choices["list"]):
        add_host_options(parser)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the data set")


def make(options: argparse.Namespace) -> int:
    data = studio_of(options).training_data
    data.collection.create(options.name, options.trigger)
    print(f"{data.collection.folder_of(options.name)}: empty{_called(options.trigger)}")
    return 0


def list_sets(options: argparse.Namespace) -> int:
    collection = studio_of(options).training_data.collection
    for name in collection.names():
        try:
            data_set = collection.get(name)
            turns = sum(example.repeats for example in data_set.examples)
            masked = sum(example.mask is not None for example in data_set.examples)
            line = f"{len(data_set.examples)} examples, {turns} turns, {masked} with a mask{_called(data_set.trigger)}"
        except InvalidInput as error:
            line = str(error)
        print(printable(f"{name}: {line}"))
    return 0


def add_pictures(options: argparse.Namespace) -> int:
    pointed = bool(options.point) or options.box is not None
    if sum((pointed, options.mask is not None, options.find is not None)) > 1:
        raise InvalidInput("There are several selections.", "Give one of --point (with --box), --mask and --find.")
    studio = studio_of(options)
    collection = studio.training_data.collection
    collection.folder_of(options.name)  # raises before anything is computed
    files = pictures_in(options.image) if options.image.is_dir() else [existing(options.image)]
    if not files:
        raise InvalidInput("There are no pictures in {source}.", source=options.image)
    failed = 0
    for file in files:
        try:
            print(printable(with_bar(studio, lambda file=file: _add(options, studio, file, pointed))))
        except InvalidInput as error:
            if len(files) == 1:
                raise
            failed += 1
            print(printable(f"{file.name}: {error}"))
    return 2 if failed else 0


def _add(options: argparse.Namespace, studio: Studio, file: Path, pointed: bool) -> str:
    picture = studio.decode(file.read_bytes())
    mask = _mask(options, studio, file, picture, pointed)
    map = None
    if options.preprocessor is not None:
        from clickpaint.control.map_options import Layer, MapOptions

        made = studio.control_maps.detect_picture(picture, MapOptions((Layer(options.preprocessor),)), None)
        map = made.pixels[..., :3].copy()
    before = None if options.before is None else studio.decode(_beside(options.before, file).read_bytes())
    caption, words = options.caption, file.with_suffix(".txt")
    if caption is None and words.is_file():
        caption = words.read_text(encoding="utf-8-sig", errors="replace")
    kept = studio.training_data.add_picture(
        options.name, file.name, picture, mask, caption, repeats=options.repeats, control_map=map, before=before
    )
    selected = "" if mask is None else f", {mask.mean():.1%} of it selected"
    return f"{kept.ids[0]}: {kept.captions[0] or 'no caption'}{selected}"


def _mask(options: argparse.Namespace, studio: Studio, file: Path, picture: Picture, pointed: bool) -> np.ndarray | None:
    if options.mask is not None:
        return mask_for(options.mask, file, picture)
    if options.find is not None:
        return studio.word_masks.find_in(picture, options.find, options.segmenter).mask
    return studio.selecting.segment(picture, prompts_of(options), options.segmenter).candidates[0].mask if pointed else None


def _beside(place: Path, file: Path) -> Path:
    """The file for a picture: the one that was named, or the one of its name in a folder."""
    if not place.is_dir():
        return existing(place)
    matching = next((path for path in pictures_in(place) if path.stem == file.stem), None)
    if matching is None:
        raise InvalidInput("There is no picture {stem} in {folder}.", stem=file.stem, folder=place)
    return matching


def inspect_set(options: argparse.Namespace) -> int:
    from clickpaint.train.dataset.collection import example_id

    studio = studio_of(options)
    data_set, seen = with_bar(studio, lambda: studio.training_data.inspect(options.data, options.resolution))
    ids = [example_id(example) for example in data_set.examples]
    balance = seen.balance
    if options.json:
        examples = [
            {
                "id": id, "caption": example.caption, "repeats": example.repeats, "mask": example.mask is not None,
                "width": marks.width, "height": marks.height, "object_side": round(marks.object_side, 1),
                "sharpness": round(marks.sharpness, 1), "marks": list(marks.names),
                "same_as": None if marks.same_as is None else ids[marks.same_as],
            }
            for id, example, marks in zip(ids, data_set.examples, seen.marks, strict=True)
        ]  # fmt: skip
        buckets = {f"{width}x{height}": count for (width, height), count in balance.buckets.items()}
        facts = {
            "trigger": data_set.trigger, "turns": balance.turns, "masked": balance.masked, "buckets": buckets,
            "largest_source": round(balance.largest_source, 4), "words": dict(balance.words), "examples": examples,
        }  # fmt: skip
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    for id, example, marks in zip(ids, data_set.examples, seen.marks, strict=True):
        same = f" (as {ids[marks.same_as]})" if marks.same_as is not None else ""
        marked = f"  [{', '.join(marks.names)}{same}]" if marks.names else ""
        print(printable(f"{id}: {marks.width} x {marks.height}, {example.repeats}x, {example.caption or '-'}{marked}"))
    print(f"{len(ids)} examples, {balance.turns} turns in an epoch, {balance.masked} of them with a mask{_called(data_set.trigger)}")
    print("Buckets: " + ", ".join(f"{width} x {height}: {count}" for (width, height), count in balance.buckets.items()))
    if balance.largest_source > 0:
        print(f"One picture gave {balance.largest_source:.0%} of the turns.")
    return 0


def caption_set(options: argparse.Namespace) -> int:
    from clickpaint.caption.caption_job import CaptionOptions
    from clickpaint.train.dataset.collection import ExampleChange

    studio = studio_of(options)
    if options.set:
        pairs = [text.partition("=") for text in options.set]
        if any(not equals for _, equals, _ in pairs):
            raise InvalidInput("A caption cannot be read.", "Give it as ID=TEXT.")
        studio.training_data.collection.change(options.name, {id: ExampleChange(text) for id, _, text in pairs})
        return 0
    wanted = CaptionOptions(options.captioner)
    return _said(with_bar(studio, lambda: studio.training_data.caption(options.name, None, wanted, options.overwrite)), "described")


def mask_set(options: argparse.Namespace) -> int:
    studio = studio_of(options)
    masked = with_bar(studio, lambda: studio.training_data.mask(options.name, options.phrase, None, options.segmenter, options.overwrite))
    return _said(masked, "masked")


def _said(through: WorkedThrough, what: str) -> int:
    for id, error in through.failed.items():
        print(printable(f"{id}: {error}"))
    print(f"{len(through.done)} examples are {what}.")
    return 2 if through.failed else 0


def export_set(options: argparse.Namespace) -> int:
    from clickpaint.train.dataset.layout_writing import save_data_set

    saved = save_data_set(studio_of(options).training_data.data_set(options.data), options.output, options.layout)
    left = "".join(f" {count} x {part} left out." for part, count in saved.without.items())
    print(f"{printable(str(saved.folder))}: {saved.examples} examples.{left}")
    return 0


def import_set(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from clickpaint.train.dataset.collection import checked_name
    from clickpaint.train.dataset.layout_reading import open_data_set
    from clickpaint.train.dataset.parquet_files import parquet_files, unpack

    studio = studio_of(options)
    name = checked_name(options.name or options.folder.resolve().name)
    with tempfile.TemporaryDirectory(prefix="clickpaint-") as unpacked:
        files = parquet_files(options.folder)
        if files:
            with_bar(studio, lambda: unpack(files, Path(unpacked)))
        data_set = open_data_set(Path(unpacked) if files else options.folder)
        if options.trigger is not None:
            data_set = replace(data_set, trigger=options.trigger)
        count = with_bar(studio, lambda: studio.training_data.take(name, data_set))
    print(f"{printable(str(studio.training_data.collection.folder_of(name)))}: {count} examples{_called(data_set.trigger)}")
    return 0


def remove_examples(options: argparse.Namespace) -> int:
    collection = studio_of(options).training_data.collection
    if options.id:
        collection.discard(options.name, options.id)
    else:
        collection.delete(options.name)
    return 0


def _called(trigger: str) -> str:
    return f', called "{trigger}"' if trigger else ""
