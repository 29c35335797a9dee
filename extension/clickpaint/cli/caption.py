"""`caption`: pictures in words, one or a folder of them."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.caption.style import FACTUALITIES, LANGUAGES, LONGEST, SENTIMENTS, SHORTEST, Style
from clickpaint.cli.files import Outputs, Place, existing, for_each, printable, write
from clickpaint.cli.options import add_command, add_picture_options, check_one_selection, selected, studio_of
from clickpaint.errors import InvalidInput
from clickpaint.settings import SETTINGS

if TYPE_CHECKING:
    from clickpaint.caption.caption_job import Caption
    from clickpaint.studio.studio import Studio


_EXISTING = ("skip", "append", "overwrite")


def add_commands(commands: Any) -> None:
    caption = add_command(commands, "caption", caption_pictures, "say what pictures, or parts of them, show")
    add_picture_options(
        caption, "OUT", "where the words go, or the folder for them; for a folder of pictures beside each, as trainers want it"
    )
    caption.add_argument(
        "--mask", type=Path, metavar="FILE", help="what to describe: white, or alpha; for a folder of pictures also a folder"
    )
    caption.add_argument(
        "--existing", choices=_EXISTING,
        help="what becomes of words that are there already: skip keeps them (the default, but for a file that -o names)",
    )  # fmt: skip
    caption.add_argument("--captioner", metavar="NAME", help=SETTINGS["captioner"].help)
    caption.add_argument("--length", type=int, metavar="N", help=f"words, {SHORTEST} to {LONGEST}")
    caption.add_argument("--sentiment", choices=SENTIMENTS, default="natural", help="in which mood (%(default)s)")
    caption.add_argument("--factuality", choices=FACTUALITIES, default="factual", help="what is there, or a story about it (%(default)s)")
    caption.add_argument("--language", choices=LANGUAGES, default="English", metavar="LANGUAGE", help=f"one of {', '.join(LANGUAGES)}")
    caption.add_argument("--wiki", action="store_true", help="add what is generally known; needs a text model")
    caption.add_argument("--prompt", action="store_true", help="as a prompt for Stable Diffusion")
    caption.add_argument("--tags", action="store_true", help="with tags, where there is a tagger")
    caption.add_argument("--everything", action="store_true", help="describe all regions")
    caption.add_argument("--labels", type=Path, metavar="FILE", help="with --everything: the picture with all regions labelled goes there")
    caption.add_argument("--json", action="store_true", help="all that is known, as JSON")
    caption.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn among wordings (%(default)d)")


def caption_pictures(options: argparse.Namespace) -> int:
    check_one_selection(options)
    pointed = bool(options.point or options.box)
    if options.everything and (pointed or options.mask is not None):
        raise InvalidInput("Everything has no points.", "Leave --point, --box and --mask out.")
    if options.labels is not None and (not options.everything or options.image.is_dir() or options.labels.suffix.lower() != ".png"):
        raise InvalidInput("Labels cannot be drawn for this.", "Give --everything, one picture, and a name that ends in .png.")
    style = Style(
        options.length, options.sentiment, options.factuality, "prompt" if options.prompt else "sentence", options.language, options.wiki
    ).checked()
    studio = studio_of(options)
    words = partial(_everything if options.everything else _caption, studio, options, style)
    suffix = ".json" if options.json else ".txt"
    if options.labels is not None:
        Outputs([options.image]).claim_named(options.labels)
    if options.output is None and not options.image.is_dir():
        print(words(existing(options.image)))
        return 0
    if options.output is None:
        options.output = str(options.image)  # a trainer looks for NAME.txt beside NAME.png

    def work(file: Path, place: Place) -> str:
        if place.ending not in (".txt", ".json", ".caption"):
            raise InvalidInput("Words cannot be written to {file}.", "Give it a name that ends in .txt or .json.", file=place.path.name)
        before = b""
        if place.path.exists() and (what := options.existing or ("overwrite" if place.named else "skip")) != "overwrite":
            if what == "skip":
                return f"{printable(place.path.name)} was there already and is kept; --existing append or overwrite changes it"
            before = place.path.read_bytes()
        text = words(file)
        write(place.path, _appended(before, text, ", " if style.form == "prompt" or options.tags else "\n"))
        return text.partition("\n")[0]

    return for_each(options, studio, "caption", lambda file: suffix, work)


def _caption(studio: Studio, options: argparse.Namespace, style: Style, file: Path) -> str:
    from clickpaint.caption.caption_job import CaptionOptions

    picture = studio.decode(file.read_bytes())
    pointed = options.mask is not None or options.point or options.box is not None
    mask = selected(options, studio, file, picture).mask if pointed else None
    caption_options = CaptionOptions(options.captioner, style=style, seed=options.seed, tags=options.tags)
    caption = studio.words.caption_picture(picture, mask, caption_options)
    if caption.failure is not None:
        print(f"clickpaint: {printable(file.name)}: {caption.failure}", file=sys.stderr)
    return json.dumps(_facts(file, caption), ensure_ascii=False) if options.json else _text(caption, style)


def _everything(studio: Studio, options: argparse.Namespace, style: Style, file: Path) -> str:
    from clickpaint.api.encode import rgb_png
    from clickpaint.caption.caption_job import PanoramaOptions

    picture = studio.decode(file.read_bytes())
    panorama_options = PanoramaOptions(options.captioner, style=style, seed=options.seed)
    panorama = studio.words.everything_in(picture, panorama_options, options.segmenter)
    if options.labels is not None:
        write(options.labels, rgb_png(panorama.overview))
    if options.json:
        return json.dumps({"file": printable(file.name), **panorama.as_json()}, ensure_ascii=False)
    lines = []
    for described in panorama.regions:
        box = described.region.box
        lines.append(f"{box.left},{box.top},{box.right},{box.bottom}: {described.caption}")
    return "\n".join([panorama.paragraph, *lines])


def _text(caption: Caption, style: Style) -> str:
    if style.form == "prompt" or caption.raw.tags:
        return caption.prompt
    background = caption.refined.background if caption.refined is not None else ""
    return f"{caption.text}\n\n{background}" if background else caption.text


def _facts(file: Path, caption: Caption) -> dict[str, Any]:
    refined = caption.refined
    return {
        "file": printable(file.name), "text": caption.text, "prompt": caption.prompt, "captioner": caption.raw.captioner,
        "raw": caption.raw.wordings[0].text, "score": round(caption.raw.wordings[0].score, 4),
        "box": None if caption.raw.box is None else list(caption.raw.box), "tags": [tag.name for tag in caption.raw.tags],
        "background": "" if refined is None else refined.background,
        "failure": None if caption.failure is None else str(caption.failure),
    }  # fmt: skip


def _appended(before: bytes, text: str, between: str) -> bytes:
    """A file of words with further ones. `before` keeps its bytes; UTF-16, as some editors write it, stays UTF-16."""
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(before[:2], "utf-8")
    end = "\n".encode(encoding)
    while before.endswith((end, "\r".encode(encoding))):
        before = before[: -len(end)]
    return before + ((between if before else "") + text + "\n").encode(encoding, "replace")
