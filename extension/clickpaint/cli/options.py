"""Arguments that several commands take, and what is made of them: a host, a studio, prompts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.image.soft_edge import AUTO
from clickpaint.settings import SETTINGS
from clickpaint.weights.recommended import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.image.picture import Picture
    from clickpaint.segment.base import Prompts
    from clickpaint.studio.studio import Studio


def add_command(group: Any, name: str, work: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
    """A parser for one command of a group, which runs `work`."""
    made = group.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    made.set_defaults(command=work)
    return made


def add_picture_options(parser: argparse.ArgumentParser, output: str, output_help: str, optional: bool = False) -> None:
    many = "?" if optional else None
    parser.add_argument(
        "image", nargs=many, type=Path, metavar="IMAGE", help="a picture, or a folder of pictures, which all get the same points"
    )
    add_prompt_options(parser)
    parser.add_argument("-o", "--output", metavar=output, help=output_help)
    add_host_options(parser)


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """What is pointed at, and what makes a mask of it."""
    parser.add_argument(
        "--point", type=_point, action="append", default=[], metavar="X,Y[,0]", help="a click in pixels; with ,0 one that removes"
    )
    parser.add_argument("--box", type=_box, metavar="L,T,R,B", help="a box in pixels, right and bottom exclusive")
    parser.add_argument("--segmenter", metavar="NAME", help=SETTINGS["segmenter"].help)


def pixels_or_auto(text: str) -> Any:
    """The value of an option that takes pixels, or "auto" for what fits the picture."""
    try:
        return text if text == AUTO else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of pixels nor {AUTO}") from None


def add_transparent_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--transparent", action="store_true", help="what is transparent in the picture, instead of points or a mask")


def add_text_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", action="store_true", help="all text in the picture, instead of points or a mask")


def add_host_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of settings.json, models/ and outputs/ (the project's)")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], metavar="DIR",
                        help="folder with models, a web UI's for example; may be repeated; the first one takes downloads")  # fmt: skip
    parser.add_argument("--device", help=SETTINGS["device"].help)
    parser.add_argument("--precision", choices=SETTINGS["precision"].choices, help="auto: half where it is faster and right")
    parser.add_argument("--offline", action="store_true", default=None, help="never download")
    parser.add_argument("--verbose", action="store_true", help="say more about what is going on")


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", metavar="FILE", help="what paints: a file, or a name below models/Stable-diffusion")
    parser.add_argument("--vae", metavar="FILE", help="a VAE instead of the checkpoint's own")


def _numbers(text: str, least: int, most: int, form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not least <= len(numbers) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return numbers


def _point(text: str) -> tuple[float, float, int]:
    x, y, *label = _numbers(text, 2, 3, "X,Y or X,Y,LABEL")
    if label and label[0] not in (0, 1):
        raise argparse.ArgumentTypeError(f"the label of {text!r} is neither 1 (add) nor 0 (remove)")
    return x, y, int(label[0]) if label else 1


def _box(text: str) -> tuple[float, float, float, float]:
    left, top, right, bottom = _numbers(text, 4, 4, "LEFT,TOP,RIGHT,BOTTOM")
    return left, top, right, bottom


def host_of(options: argparse.Namespace) -> EmbeddedHost:
    from clickpaint.hosts.embedded import EmbeddedHost

    return EmbeddedHost(options.data_dir, **_host_arguments(options))


def public_host_of(options: argparse.Namespace) -> EmbeddedHost:
    """The host of a server for strangers: what the options and the environment leave open is small, and nothing is kept."""
    from clickpaint.hosts.public import PublicHost

    return PublicHost(options.data_dir, **_host_arguments(options))


def _host_arguments(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {key: getattr(options, key, None) for key in ("device", "precision", "offline", "output_dir", "checkpoint", "vae")}
    overrides = {key: value for key, value in chosen.items() if value is not None}
    if "vae" in overrides:
        overrides["vae"] = str(Path(overrides["vae"]).absolute())
    return {"models_dirs": [folder.absolute() for folder in options.models_dir], "overrides": overrides}


def studio_of(options: argparse.Namespace) -> Studio:
    from clickpaint.studio.studio import Studio

    return Studio(host_of(options))


@dataclass(frozen=True, eq=False)
class Selection:
    """What is selected in a picture.

    Attributes:
        mask: bool [H, W].
        how: what selected it, as the subject of a sentence.
        score: its score as the end of that sentence; "" where there is none.
    """

    mask: np.ndarray
    how: str
    score: str = ""


def check_one_selection(options: argparse.Namespace) -> None:
    """Raises `InvalidInput`: there are several ways of selecting at once."""
    pointed, masked = bool(options.point) or options.box is not None, getattr(options, "mask", None) is not None
    if masked and pointed:
        raise InvalidInput("There are a mask and points.", "Give either --mask, or --point and --box.")
    if getattr(options, "transparent", False) and (masked or pointed):
        raise InvalidInput("There are several selections.", "Give --transparent alone, without --mask, --point and --box.")
    if getattr(options, "words", None) and (masked or pointed or getattr(options, "transparent", False) or getattr(options, "text", False)):
        raise InvalidInput("There are several selections.", "Give --words alone, without --transparent, --text, --point and --box.")
    if getattr(options, "text", False) and (masked or pointed or getattr(options, "transparent", False)):
        raise InvalidInput("There are several selections.", "Give --text alone, without --transparent, --mask, --point and --box.")


def selected(options: argparse.Namespace, studio: Studio, file: Path, picture: Picture) -> Selection:
    """What the options select in the picture of `file`. Raises `InvalidInput`."""
    from clickpaint.cli.files import mask_for
    from clickpaint.session.selection import transparent

    if getattr(options, "transparent", False):
        return Selection(transparent(picture.alpha), "transparency")
    if getattr(options, "text", False):
        text = studio.reading.read(picture)
        return Selection(text.mask, f"the text “{' / '.join(line.text for line in text.lines)}”")
    if getattr(options, "words", None):
        from clickpaint.studio.word_masks import WordLook

        look = None
        if options.instead is not None:
            ratio = WordLook.ratio if options.mask_ratio is None else options.mask_ratio
            look = WordLook(options.instead, ratio, options.resolution or 0)
        place = studio.word_masks.find_in(picture, options.words, options.segmenter, look)
        return Selection(place.mask, place.how, f", score {place.score:.2f}")
    if getattr(options, "mask", None) is not None:
        return Selection(mask_for(options.mask, file, picture), "the mask")
    clicked = studio.selecting.segment(picture, prompts_of(options), options.segmenter)
    best = clicked.candidates[0]
    return Selection(best.mask, clicked.segmenter, f", score {best.score:.2f}")


def prompts_of(options: argparse.Namespace) -> Prompts:
    from clickpaint.segment.base import Point, Prompts

    if not options.point and options.box is None:
        raise InvalidInput(
            "Nothing was pointed at.",
            "Give --point X,Y or --box L,T,R,B, or --mask FILE." if "mask" in options else "Give --point X,Y or --box L,T,R,B.",
        )
    return Prompts(tuple(Point(*point) for point in options.point), options.box)


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`, which `install.py run` takes as well."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s); any other but loopback asks for a token")
    parser.add_argument("--port", type=int, help="port to listen on (7870, or the next free one); 0 for any")
    parser.add_argument(
        "--token", help="what clients must know (or CLICKPAINT_TOKEN); made up and printed where the address is not loopback"
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="for strangers: no token, small pictures, nothing kept, and neither models nor settings can be changed",
    )
    parser.add_argument(
        "--with-models", action="store_true", help=f"first download what selects and removes better, {megabytes()} MB, where it is not here"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--output-dir", metavar="DIR", help="folder for what Save saves and for painted results (outputs)")
    add_checkpoint_options(parser)
    add_host_options(parser)
