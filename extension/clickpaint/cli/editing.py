"""`edit`: from what a picture shows to what it is to show, in words."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from clickpaint.cli.options import add_command, add_picture_options, add_transparent_option
from clickpaint.cli.painting import add_number, add_sampling_options, paint_pictures
from clickpaint.errors import InvalidInput
from clickpaint.paint import infotext
from clickpaint.paint.edit_options import EditMethod, Inversion, WordEdit
from clickpaint.paint.paint_job import MaskedContent

if TYPE_CHECKING:
    from clickpaint.image.picture import Picture


def add_commands(commands: Any) -> None:
    edit = add_command(commands, "edit", edit_pictures, "change a picture, or what is pointed at, by saying what it shows and is to show")
    edit.set_defaults(task="edit")
    add_picture_options(edit, "OUT", "where the result goes, or the folder for results; beside the picture by default")
    edit.add_argument("--mask", type=Path, metavar="FILE", help="what may change: white, or alpha; for a folder also a folder")
    add_transparent_option(edit)
    edit.add_argument("--from", dest="source_prompt", metavar="PROMPT", help="what the picture shows")
    edit.add_argument("--to", dest="prompt", metavar="PROMPT", help="what it is to show")
    edit.add_argument(
        "--method", dest="edit_method", choices=get_args(EditMethod), default="p2p",
        help="p2p: Prompt-to-Prompt, keeps the composition; ledits: LEDITS++, several edits; diffedit: paints where the two differ; "
             "sdedit: noise, then what it is to show (%(default)s)",
    )  # fmt: skip
    edit.add_argument(
        "--edit", dest="edits", type=_edit, action="append", metavar="TEXT[:SCALE[:THRESHOLD]]",
        help="ledits: more of something, or with a scale below 0 less, kept out of that share of the picture (5:0.9); may be repeated",
    )  # fmt: skip
    edit.add_argument(
        "--weight", dest="word_weights", type=_weight, action="append", metavar="WORDS=N",
        help="p2p: how strong words of --to are to be, from -10 to 10; may be repeated",
    )  # fmt: skip
    edit.add_argument(
        "--inversion", choices=get_args(Inversion),
        help="p2p: how the picture's noise is found: ddpm (the default), ddim, or seed for a picture that was painted here",
    )  # fmt: skip
    add_number(edit, "cross_steps", "p2p: share of the steps that keep the attention to the words")
    add_number(edit, "self_steps", "p2p: share of the steps that keep the attention within the picture")
    edit.add_argument("--local", action="store_true", help="p2p: change only what the changed words look at")
    add_number(edit, "mask_ratio", "diffedit: of the mean difference, how much counts as all; less makes a larger mask")
    edit.add_argument(
        "--masked-content", choices=get_args(MaskedContent), help="for --inversion seed with a mask: what was there first (fill)"
    )
    add_sampling_options(edit)


def edit_pictures(options: argparse.Namespace) -> int:
    for name in ("edits", "word_weights"):
        setattr(options, name, tuple(getattr(options, name) or ()))
    if options.prompt is None and (options.word_weights or options.edit_method == "ledits"):
        options.prompt = options.source_prompt
    if options.edit_method in ("p2p", "diffedit") and options.source_prompt is None and options.inversion != "seed":
        raise InvalidInput("It is not said what the picture shows.", "Give it as --from.")
    if options.prompt is None and not options.edits and not (options.inversion == "seed" and options.word_weights):
        raise InvalidInput("It is not said what the picture is to show.", "Give it as --to.")
    if options.masked_content is not None and options.inversion != "seed":
        raise InvalidInput("An edit begins with the picture.", "Leave --masked-content out, or give --inversion seed.")
    selecting = options.point or options.box is not None or options.mask is not None or options.transparent
    by_seed = options.inversion == "seed" and not selecting
    return paint_pictures(options, (lambda picture: _as_generated(options, picture)) if by_seed else lambda picture: {})


def _as_generated(options: argparse.Namespace, picture: Picture) -> dict[str, Any]:
    """How a picture was painted from nothing but a prompt, by what its file says. Raises `InvalidInput`."""
    fields = infotext.parse(picture.source.text.get("parameters", ""))
    values = infotext.read(fields)
    from_nothing = fields.get("Masked content") == "latent nothing" and fields.get("Denoising strength") == "1"
    if not from_nothing or fields.get("Size") != f"{picture.width}x{picture.height}":
        raise InvalidInput(
            "The picture's file does not say how it was painted from a prompt alone.",
            "Take what generate wrote, or leave --inversion seed out.",
        )
    source = values["prompt"] if options.source_prompt is None else options.source_prompt
    kept = ("seed", "steps", "sampler", "scheduler", "cfg_scale", "negative_prompt")
    return {
        **{name: values[name] for name in kept if name in values},
        "source_prompt": source,
        "prompt": source if options.prompt is None else options.prompt,
        "clip_skip": int(fields.get("Clip skip", 1)),
        "denoising_strength": 1.0,
        "masked_content": "latent nothing",
        "resolution": round((picture.width * picture.height) ** 0.5),
    }


def _edit(text: str) -> WordEdit:
    words, *numbers = text.split(":")
    try:
        if len(numbers) > 2:
            raise ValueError
        return WordEdit(words, *(float(number) for number in numbers))
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not TEXT[:SCALE[:THRESHOLD]]") from None


def _weight(text: str) -> tuple[str, float]:
    words, sign, number = text.rpartition("=")
    try:
        if not (sign and words.strip()):
            raise ValueError
        return words.strip(), float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WORDS=N") from None
