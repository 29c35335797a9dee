"""The use-cases of data sets: keep what was clicked for training, describe and mask it in a row, look through it, take it elsewhere."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from clickpaint.caption.caption_job import CaptionOptions
from clickpaint.caption.registry import Captioners
from clickpaint.errors import ClickpaintError, HostUnsupported, InvalidInput, NotFound
from clickpaint.hosts.base import Host
from clickpaint.image import picture_files
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.image.picture_files import small_jpeg
from clickpaint.paint import infotext
from clickpaint.progress import Progress
from clickpaint.session.workspace import Workspace
from clickpaint.settings import MEGABYTE
from clickpaint.studio.control_maps import ControlMaps, WorkspaceMap
from clickpaint.studio.request import Requests
from clickpaint.studio.several_pictures import selection_behind
from clickpaint.studio.word_masks import WordMasks
from clickpaint.studio.words import Words
from clickpaint.studio.zipping import zipped
from clickpaint.train.dataset import inspection
from clickpaint.train.dataset.collection import Collection, ExampleChange, NewExample, example_id
from clickpaint.train.dataset.examples import DataSet, TrainingExample
from clickpaint.train.dataset.inspection import Inspection
from clickpaint.train.dataset.layout_reading import open_data_set
from clickpaint.train.dataset.layout_writing import save_data_set
from clickpaint.train.dataset.picture_reading import file_checksum, mask_of, read_mask, read_picture
from clickpaint.train.dataset.zip_files import inner_folder, unpack_zip


@dataclass(frozen=True)
class Keeping:
    """What of a workspace is to be kept.

    Attributes:
        what: "selection", "regions" (of the last "everything"), "edit" (the picture before the last change and after it) or "map".
        caption: None for what a captioner says of the object, where one is here; of an edit, for the prompt that it was painted with.
        regions: indices, for "regions".
        captions: of each of the regions, instead of `caption`; empty for none.
        map: a control map's id, for "map".
        repeats: how often it is to come in an epoch.
    """

    what: str = "selection"
    caption: str | None = None
    regions: tuple[int, ...] = ()
    captions: tuple[str, ...] = ()
    map: str = ""
    repeats: int = 1


@dataclass(frozen=True)
class Kept:
    """What was kept.

    Attributes:
        ids: of the new examples.
        captions: of each.
        failure: why a caption is empty though one was asked for; None where none is.
    """

    ids: tuple[str, ...]
    captions: tuple[str, ...]
    failure: ClickpaintError | None = None


@dataclass(frozen=True)
class WorkedThrough:
    """What became of the examples of a set that was worked through.

    Attributes:
        done: ids of those that changed.
        failed: why others could not be changed, by their ids.
    """

    done: tuple[str, ...] = ()
    failed: dict[str, ClickpaintError] = field(default_factory=dict)


class TrainingData:
    """Part of the studio. Data sets belong to whoever uses the program, not to a workspace."""

    def __init__(
        self, host: Host, requests: Requests, captioners: Captioners, words: Words, word_masks: WordMasks, control_maps: ControlMaps
    ) -> None:
        self._host, self._requests, self._captioners, self._words = host, requests, captioners, words
        self._word_masks, self._control_maps = word_masks, control_maps
        self._collection = Collection(host.data_folder() / "datasets")

    @property
    def collection(self) -> Collection:
        """The data sets that there are. Raises `HostUnsupported` where strangers use the program."""
        if self._host.capabilities().public:
            raise HostUnsupported("This server keeps no files.", "Run the program on your own machine to collect a data set.")
        return self._collection

    def data_set(self, name: str) -> DataSet:
        """A data set by its name, or one in any usual layout by the path of its folder. Raises `NotFound`, `InvalidInput`."""
        try:
            return self.collection.get(name)
        except (NotFound, InvalidInput):
            if Path(name).is_dir():
                return open_data_set(Path(name))
            raise

    def keep(self, workspace: Workspace, name: str, keeping: Keeping, trigger: str | None = None) -> Kept:
        """Keep something of a workspace in a data set, which is made where it is not there.

        Args:
            name: of the data set.
            trigger: for a new data set; an old one keeps its own.

        Raises:
            InvalidInput: there is no such thing to keep, or a name cannot be.
            NotFound: there is no such map (any more).
        """
        collection = self.collection
        with self._requests.run("dataset", workspace):
            new = self._new_examples(workspace, keeping)
            captions, failure = (list(keeping.captions), None) if keeping.captions else self._captions(new, keeping.caption)
            if name not in collection.names():
                collection.create(name, trigger or "")
            ids = collection.add(name, [replace(made, caption=caption) for (_, made), caption in zip(new, captions, strict=True)])
            return Kept(tuple(ids), tuple(captions), failure)

    def add_picture(
        self, name: str, file: str, picture: Picture, mask: np.ndarray | None = None, caption: str | None = None, *, repeats: int = 1,
        control_map: np.ndarray | None = None, before: Picture | None = None,
    ) -> Kept:  # fmt: skip
        """Keep a picture that belongs to no workspace.

        Args:
            name: of a data set that is there.
            file: the picture's name.
            picture: what to keep.
            mask: bool [H, W]; None for all of it.
            caption: None for what a captioner says, where one is here.
            repeats: how often it is to come in an epoch.
            control_map: uint8 [h, w, 3], brought to the picture's size; None for none.
            before: what it was before the edit that the caption names; of its size.

        Raises:
            InvalidInput, NotFound.
        """
        if before is not None and before.size != picture.size:
            raise _other_size()
        with self._requests.run("dataset"):
            shown = None if control_map is None else _png(_sized(control_map, picture.size))
            new = NewExample(
                file, _png(picture.pixels), "", mask, shown, None if before is None else _png(before.pixels), repeats, picture.digest[:16]
            )
            captions, failure = self._captions([(picture, new)], caption if before is None or caption is not None else "")
            ids = self.collection.add(name, [replace(new, caption=captions[0])])
            return Kept(tuple(ids), tuple(captions), failure)

    def inspect(self, name: str, resolution: int = 512) -> tuple[DataSet, Inspection]:
        """Look through a data set, see `inspection.inspect`."""
        data_set = self.data_set(name)
        with self._requests.run("dataset") as request:
            return data_set, request.wait(lambda progress: inspection.inspect(data_set, resolution, progress))

    def caption(
        self, name: str, ids: Sequence[str] | None = None, options: CaptionOptions | None = None, overwrite: bool = False
    ) -> WorkedThrough:
        """Describe examples, each by its object.

        Args:
            name: of the data set.
            ids: which; None for all.
            options: how; None for a plain caption.
            overwrite: also those that have a caption.

        Raises:
            NotFound: there is no such set, or no such example. ModelMissing: nothing can describe here. Interrupted: what was described
            until then stays.
        """
        options = options or CaptionOptions()
        self._captioners.captioner(options.captioner)
        chosen = [example for example in self._chosen(name, ids) if overwrite or not example.caption]

        def work(example: TrainingExample) -> None:
            mask = mask_of(example)
            picture = read_picture(example.picture)
            selected = None if mask is None else _fitting(mask, picture)
            caption = self._words.caption_picture(picture, selected, options)
            self.collection.change(name, {example_id(example): ExampleChange(caption.text)})

        return self._for_each(chosen, work, "Describing the data set")

    def mask(
        self, name: str, phrase: str, ids: Sequence[str] | None = None, segmenter: str | None = None, overwrite: bool = False
    ) -> WorkedThrough:
        """Select what a phrase names in examples; those in which it is not keep what they have.

        Args:
            name: of the data set.
            phrase: what to look for.
            ids: which; None for all.
            segmenter: its name; None for the setting's.
            overwrite: also those that have a mask.

        Raises:
            As `caption`.
        """
        chosen = [example for example in self._chosen(name, ids) if overwrite or example.mask is None]

        def work(example: TrainingExample) -> None:
            place = self._word_masks.find_in(read_picture(example.picture), phrase, segmenter)
            self.collection.set_mask(name, example_id(example), place.mask)

        return self._for_each(chosen, work, "Masking the data set")

    def thumbnail(self, name: str, id: str, what: str = "picture", longest: int = 256) -> bytes:
        """A small JPEG of an example.

        Args:
            name: of the data set.
            id: of the example.
            what: "picture", which shows its mask by dimming the rest, "map" or "before".
            longest: pixels of the longer side, at most.

        Raises:
            NotFound: there is none of it.
        """
        example = self._chosen(name, [id])[0]
        file = {"map": example.control_map, "before": example.before}.get(what, example.picture)
        if file is None:
            raise NotFound("There is no example {id!r} in {name}.", "It may have been deleted.", id=id, name=name)
        mask = example.mask if file == example.picture else None
        return _thumbnail(file, file_checksum(file), mask, None if mask is None else file_checksum(mask), longest)

    def export(self, name: str, layout: str) -> IO[bytes]:
        """A zip file of a data set in one of `examples.LAYOUTS`, to be read from its begin and closed by who asked. Raises as
        `save_data_set`."""
        data_set = self.collection.get(name)
        with self._requests.run("dataset"), tempfile.TemporaryDirectory(prefix="clickpaint-") as folder:
            save_data_set(data_set, Path(folder) / "set", layout)

            def fill(archive: zipfile.ZipFile) -> None:
                for path in sorted((Path(folder) / "set").rglob("*")):
                    if path.is_file():
                        archive.write(path, path.relative_to(Path(folder) / "set").as_posix())

            return zipped(fill)

    def take(self, name: str, data_set: DataSet) -> int:
        """Copy a data set into the collection, see `Collection.take`."""
        with self._requests.run("dataset"):
            return self.collection.take(name, data_set)

    def take_zip(self, name: str, data: IO[bytes]) -> int:
        """Copy the data set in a zip file into the collection, whichever layout it has; returns how many examples it had.

        Raises:
            InvalidInput: it is no zip file, or there is no data set in it. TooLarge: it would unpack to far more than it is.
        """
        collection = self.collection
        with self._requests.run("dataset"), tempfile.TemporaryDirectory(prefix="clickpaint-") as folder:
            unpack_zip(data, Path(folder), self._host.setting("max_upload_mb") * MEGABYTE)
            return collection.take(name, open_data_set(inner_folder(Path(folder))))

    def _chosen(self, name: str, ids: Sequence[str] | None) -> list[TrainingExample]:
        examples = {example_id(example): example for example in self.collection.get(name).examples}
        missing = next((id for id in ids or () if id not in examples), None)
        if missing is not None:
            raise NotFound("There is no example {id!r} in {name}.", "It may have been deleted.", id=missing, name=name)
        return list(examples.values()) if ids is None else [examples[id] for id in ids]

    def _for_each(self, examples: Sequence[TrainingExample], work: Callable[[TrainingExample], None], text: str) -> WorkedThrough:
        done: list[str] = []
        failed: dict[str, ClickpaintError] = {}

        def through(progress: Progress) -> None:
            for number, example in enumerate(examples):
                progress.report(number / len(examples), text, done=number, total=len(examples))
                try:
                    work(example)
                    done.append(example_id(example))
                except InvalidInput as error:  # of this picture; what stops every one of them ends the work
                    failed[example_id(example)] = error

        with self._requests.run("dataset") as request:
            request.wait(through)
        return WorkedThrough(tuple(done), failed)

    def _captions(self, new: Sequence[tuple[Picture, NewExample]], caption: str | None) -> tuple[list[str], ClickpaintError | None]:
        """The caption of each new example: the one given, the one it came with, or a captioner's where there is one."""
        if caption is not None:
            return [caption] * len(new), None
        speaks = any(captioner.available and captioner.captions for captioner in self._captioners.listed())
        captions, failure = [], None
        for picture, example in new:
            words = example.caption
            if not words and speaks and example.before is None:
                try:
                    words = self._words.caption_picture(picture, example.mask, CaptionOptions()).text
                except InvalidInput as error:
                    failure = error
            captions.append(words)
        return captions, failure

    def _new_examples(self, workspace: Workspace, keeping: Keeping) -> list[tuple[Picture, NewExample]]:
        """What is to be kept, each with its picture, as one moment of the workspace shows it."""
        state, picture = workspace.snapshot()
        name, source, repeats = workspace.name or "picture", picture.digest[:16], keeping.repeats
        if keeping.what == "edit":
            before, mask, prompt = _edit(workspace, state.version)
            if before.size != picture.size:
                raise _other_size()
            return [(picture, NewExample(name, _png(picture.pixels), prompt, mask, None, _png(before.pixels), repeats, source))]
        selection = None if state.selection is None else state.selection.mask
        data = _png(picture.pixels)
        if keeping.what == "map":
            made: WorkspaceMap = self._control_maps.made(workspace, keeping.map)
            if made.size != picture.size:
                raise InvalidInput("The map was made of a picture of another size.", "Make it again.")
            map = _png(_sized(made.map.pixels[..., :3], picture.size))
            return [(picture, NewExample(name, data, "", selection, map, None, repeats, source))]
        if keeping.what == "regions":
            regions = workspace.regions
            wrong = next((index for index in keeping.regions if not 0 <= index < len(regions)), None)
            if wrong is not None or not keeping.regions:
                raise InvalidInput(
                    "There is no region {index}.", "Let everything be segmented first, and give the index of one of the regions.",
                    index=wrong, regions=len(regions),
                )  # fmt: skip
            if keeping.captions and len(keeping.captions) != len(keeping.regions):
                raise InvalidInput("There are {count} captions.", "Give one for each region.", count=len(keeping.captions))
            chosen = [regions[index].mask for index in keeping.regions]
        elif keeping.what == "selection":
            if selection is None:
                raise InvalidInput("Nothing is selected.", "Click on what is to be kept for training first.")
            chosen = [selection]
        else:
            raise InvalidInput("{what!r} cannot be kept.", "Give selection, regions, edit or map.", what=keeping.what)
        return [(picture, NewExample(name, data, "", mask, None, None, repeats, source)) for mask in chosen]


@lru_cache(4096)
def _thumbnail(file: Path, checksum: str, mask_file: Path | None, mask_checksum: str | None, longest: int) -> bytes:
    """A small JPEG, dimmed outside of the mask; checksums: of the files, until one of which changes it is known."""
    picture = read_picture(file)
    scale = min(1.0, longest / max(picture.size))
    size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
    pixels = np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.BOX))
    mask = None if mask_file is None else read_mask(mask_file, mask_file == file)
    if mask is not None:
        share = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.BOX), np.float32)[..., None] / 255
        pixels = np.rint(pixels * (0.35 + 0.65 * share)).astype(np.uint8)
    return small_jpeg(pixels, size)


def _edit(workspace: Workspace, version: int) -> tuple[Picture, np.ndarray | None, str]:
    """The picture before the last change, what was selected for that, and the prompt it was painted with. Raises `InvalidInput`."""
    contents = workspace.contents()
    states = contents.states[: contents.index + 1]
    first = next((number for number, state in enumerate(states) if state.version == version), 0)
    if version == 0 or first == 0:
        raise InvalidInput("Nothing was changed in this picture.", "Edit it first; the pair is the picture before the edit and after it.")
    prompt = infotext.parse(contents.texts.get(version, "")).get("Prompt", "")
    mask = selection_behind(workspace, version)
    before = workspace.picture(states[first - 1].version)
    return before, mask if mask is not None and mask.shape == before.pixels.shape[:2] else None, prompt


def _other_size() -> InvalidInput:
    return InvalidInput("The picture before the edit has another size.", "Pairs are of edits that leave the size as it is.")


def _png(pixels: np.ndarray) -> bytes:
    """A file of a picture's pixels alone: where and when it was taken is nobody's business."""
    return picture_files.encode(from_pixels(np.ascontiguousarray(pixels)), "PNG")


def _sized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.LANCZOS))


def _fitting(mask: np.ndarray, picture: Picture) -> np.ndarray:
    """A mask's file as bool [H, W] of its picture's size."""
    return _sized(mask, picture.size) > 127
