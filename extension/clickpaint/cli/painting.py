"""`fill`, `replace`, `expand`, `instruct` and `generate`: painting with a checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from clickpaint.cli.files import Outputs, Place, existing, for_each, place_for, printable, with_losses
from clickpaint.cli.options import (
    add_checkpoint_options,
    add_command,
    add_host_options,
    add_picture_options,
    add_transparent_option,
    check_one_selection,
    pixels_or_auto,
    prompts_of,
    selected,
    studio_of,
)  # fmt: skip
from clickpaint.errors import InvalidInput
from clickpaint.image.picture_files import decode
from clickpaint.image.soft_edge import AUTO
from clickpaint.paint import flat_options
from clickpaint.paint.influence_options import GuideKind
from clickpaint.paint.paint_job import WHOLE, ControlMode, ControlUnit, Engine, MaskedContent, PaintOptions

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.image.picture import Picture

_DONE = {"fill": "filled", "replace": "replaced", "expand": "expanded", "instruct": "instructed", "edit": "edited", "vary": "varied",
         "colorize": "colorized", "restore": "restored"}  # fmt: skip
"""What stands in the names of a task's results."""

_RATIOS = {"1:1": (1, 1), "4:3": (4, 3), "3:4": (3, 4), "16:9": (16, 9), "9:16": (9, 16)}


def add_commands(commands: Any) -> None:
    for task, help in (
        ("fill", "paint what a prompt says where something is"),
        ("replace", "paint what a prompt says around something"),
        ("expand", "paint what lies beyond the picture's borders"),
        ("instruct", "do what a prompt says to something, or to the whole picture"),
        ("vary", "paint another one like something, or another picture like this one"),
    ):
        parser = add_task(commands, task, task, help)
        if task == "instruct":
            parser.add_argument(
                "--remove",
                action="store_true",
                help="by a model that edits: remove what is selected, with its shadow; a prompt may say how",
            )
        add_paint_options(parser)
    generate = add_command(commands, "generate", generate_picture, "paint a picture from a prompt alone")
    generate.set_defaults(task="fill")
    generate.add_argument("--width", type=int, metavar="N", help="in pixels, a multiple of 8; the checkpoint's own size by default")
    generate.add_argument("--height", type=int, metavar="N", help="in pixels, a multiple of 8; the checkpoint's own size by default")
    generate.add_argument("-o", "--output", metavar="OUT", help="where it goes (generated.png; a clip: generated.gif)")
    generate.add_argument("--frames", type=int, metavar="N", help="a clip of so many frames (Text2Video-Zero): a GIF, a video or a folder")
    generate.add_argument(
        "--motion", type=_motion, metavar="DX,DY", help="of a clip: pixels by which the scene moves from frame to frame (1.5,0)"
    )
    generate.add_argument(
        "--smooth-background", type=float, default=0.0, metavar="N",
        help="of a clip: share of what is behind the object in its middle that is the first frame's, 0 to 1 (%(default)g)",
    )  # fmt: skip
    generate.add_argument("--fps", type=float, default=8.0, metavar="N", help="of a clip: frames a second (%(default)g)")
    add_paint_options(generate)
    add_host_options(generate)


def add_task(commands: Any, name: str, task: str, help: str) -> argparse.ArgumentParser:
    """A command that paints a `task` in pictures, with the options that all of them have."""
    parser = add_command(commands, name, expand_pictures if task == "expand" else paint_pictures, help)
    parser.set_defaults(task=task)
    add_picture_options(parser, "OUT", "where the result goes, or the folder for results; beside the picture by default")
    parser.add_argument("--mask", type=Path, metavar="FILE", help="what is selected: white, or alpha; for a folder also a folder")
    add_transparent_option(parser)
    if task == "expand":
        add_expansion(parser)
    return parser


def add_expansion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--margins", type=_margins, metavar="L,T,R,B", help="pixels to add on each side")
    parser.add_argument("--to", choices=_RATIOS, help="add what is missing to this ratio of width to height")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """What all commands take that paint with a checkpoint."""
    add_checkpoint_options(parser)
    parser.add_argument("-n", "--negative-prompt", default="", metavar="PROMPT", help="what not to paint")
    parser.add_argument(
        "--sampler", default="", metavar="NAME", help='"Euler a", "DPM++ 2M", "UniPC", "DDIM", "DDPM", "Predictor-corrector" …'
    )
    parser.add_argument("--scheduler", default="", metavar="NAME", help='spacing of the noise levels: "Karras", "Exponential" …')
    for name, help in (
        ("steps", "denoising steps"),
        ("cfg_scale", "how closely the prompt is followed; 0: what the checkpoint's makers recommend, 7 for Stable Diffusion"),
        ("distilled_cfg_scale", "guidance distilled into the checkpoint (Flux), or the shift of its schedule; 0: its makers'"),
        ("seed", "-1 for a random one"),
        ("denoising_strength", "0: nothing changes, 1: nothing is kept"),
        ("resolution", "side of the square whose area is painted at; 0: the checkpoint's own"),
        ("clip_skip", "layers of the text encoder left out, plus 1"),
        ("grow", "pixels by which the mask is grown; auto: what fits (the default)"),
        ("feather", "pixels over which the result fades into the picture; auto: what fits (the default)"),
    ):
        add_number(parser, name, help)
    parser.add_argument("--count", dest="batch_count", type=int, default=1, metavar="N", help="results to choose from (%(default)s)")
    parser.add_argument(
        "--style", dest="styles", action="append", default=[], metavar="NAME", help="of styles.csv in the data folder; may be repeated"
    )
    add_number(parser, "token_merging_ratio", "share of the tokens that are merged, 0 to 0.9: faster, with less detail")
    parser.add_argument("--soft-inpainting", action="store_true", help="paint less towards the mask's edge")
    parser.add_argument(
        "--control", type=_unit, action="append", default=[], metavar="PREPROCESSOR:MODEL[:WEIGHT[:START[:END[:MODE]]]]",
        help='a ControlNet; "none" for a picture that is a map itself; may be repeated',
    )  # fmt: skip


def add_number(parser: argparse.ArgumentParser, name: str, help: str) -> None:
    """An option for a number, by its name in `flat_options`."""
    default = flat_options.DEFAULTS[name]
    kind = pixels_or_auto if name in ("grow", "feather") else float if isinstance(default, float) or name.endswith("_ratio") else int
    shown = "" if default is None else " (%(default)s)"
    parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, metavar="N", help=help + shown)


def add_paint_options(parser: argparse.ArgumentParser) -> None:
    add_sampling_options(parser)
    parser.add_argument(
        "-p",
        "--prompt",
        default="",
        help="what to paint; (word:1.2), [word], BREAK, AND, <lora:NAME:0.8> and <hypernet:NAME:0.8> as in the web UI",
    )
    parser.add_argument("--engine", choices=get_args(Engine), default="auto", help="auto: what fits the checkpoint and the other options")
    for name, help in (
        ("image_cfg_scale", "how closely an instruction keeps to the picture"),
        ("repaint_jump", "noise levels that RePaint goes back at once"),
        ("repaint_resamples", "how often RePaint paints each stretch"),
    ):
        add_number(parser, name, help)
    parser.add_argument("--system", default="", metavar="NAME", help="a folder in models/diffusers that paints instead, or auto")
    parser.add_argument("--guide", choices=get_args(GuideKind), default="none", help="whose score steers the sampling besides the prompt")
    parser.add_argument(
        "--guide-words", default="", metavar="WORDS", help='phrases for clip, such as "stormy; people:-0.5", or the class for classifier'
    )
    parser.add_argument("--guide-picture", type=Path, metavar="FILE", help="what it is to resemble, for picture")
    parser.add_argument(
        "--reference", dest="references", type=Path, action="append", default=[], metavar="FILE",
        help="a picture that the result is to resemble; a model that edits looks at up to 4 of them (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--reference-adapter", default="", metavar="NAME", help="an IP-Adapter in models/ControlNet that reads it; else the network looks"
    )
    for name, help in (
        ("guide_scale", "how strongly the guide steers"),
        ("reference_weight", "how far the reference is looked at, to 1"),
        ("reference_fidelity", "how far the negative prompt looks at it too; less is more likeness"),
        ("reference_start", "share of the sampling from which the reference acts"),
        ("reference_end", "share of the sampling until which the reference acts"),
    ):
        add_number(parser, name, help)
    content = flat_options.DEFAULTS["masked_content"]
    parser.add_argument("--masked-content", choices=get_args(MaskedContent), default=content, help="what is there first")
    parser.add_argument("--eraser", metavar="NAME", help='for the masked content "erased"')
    parser.add_argument(
        "--second-pass", dest="refine", choices=("on", "off"), help="paint large areas once more at their own resolution, or never"
    )


def paint_pictures(options: argparse.Namespace, further: Callable[[Picture], dict[str, Any]] = lambda picture: {}) -> int:
    """further: options, by their names in `flat_options`, that a picture itself says."""
    check_one_selection(options)
    selecting = bool(options.point) or options.box is not None or options.mask is not None or options.transparent
    whole = options.task == "expand" or (options.task in WHOLE and not selecting)
    removing = getattr(options, "remove", False)
    if removing and not selecting:
        raise InvalidInput("It is not said what to remove.", "Give --point, --box or --mask.")
    task: dict[str, Any] = {"task": "remove", "engine": "instruct"} if removing else {}
    studio = studio_of(options)
    if not whole and options.mask is None and not options.transparent:
        prompts_of(options)

    def work(file: Path, place: Place) -> str:
        format = place.format
        picture = studio.decode(file.read_bytes())
        mask = None if whole else selected(options, studio, file, picture).mask
        wanted = paint_options(options, **{**further(picture), **task})
        painted = studio.painting.paint_picture(picture, mask, wanted, getattr(options, "eraser", None))
        paths = place.write(studio.encode(result, format) for result in painted.pictures)
        return with_losses(_painted(paths, painted.seeds), picture)

    return for_each(options, studio, _DONE[options.task], lambda file: ".png" if options.task == "restore" else file.suffix, work)


def expand_pictures(options: argparse.Namespace) -> int:
    return paint_pictures(options, lambda picture: {"expand": _expansion(options, picture.size)})


def generate_picture(options: argparse.Namespace) -> int:
    if options.frames is not None:
        return _generate_clip(options)
    if options.motion is not None or options.smooth_background:
        raise InvalidInput("A picture does not move.", "Give --frames N for a clip.")
    studio = studio_of(options)
    place = place_for(options.output or "generated.png", "generated", ".png", Outputs(()), None)
    format = place.format
    painted = studio.generation.generate(paint_options(options), options.width, options.height)
    paths = place.write(studio.encode(result, format) for result in painted.pictures)
    print(f"{printable(str(place.path))}: {_painted(paths, painted.seeds)}")
    return 0


def _generate_clip(options: argparse.Namespace) -> int:
    from clickpaint.cli.files import with_bar
    from clickpaint.paint.diffusion.frame_sampling import Motion
    from clickpaint.video.clip_writing import check_target, check_writable, write_clip
    from clickpaint.video.new_clip import NewClip, check_rate

    check_rate(options.fps)
    target = Path(options.output or "generated.gif")
    check_target(target, [])
    check_writable(target)
    across, down = options.motion or (Motion.across, Motion.down)
    motion = Motion(across, down, smooth=options.smooth_background)
    studio = studio_of(options)
    wanted = paint_options(options)
    made = with_bar(studio, lambda: studio.generation.generate_clip(wanted, options.frames, motion, options.width, options.height))
    write_clip(target, made.frames, NewClip(made.frames, options.fps))
    print(f"{printable(str(target))}: {len(made.frames)} frames, seed {made.seed}")
    return 0


def _painted(paths: list[Path], seeds: tuple[int, ...]) -> str:
    """What is said about results."""
    further = f", also in {printable(', '.join(path.name for path in paths[1:]))}" if len(paths) > 1 else ""
    return f"seed {', '.join(str(seed) for seed in seeds)}{further}"


def paint_options(options: argparse.Namespace, **more: Any) -> PaintOptions:
    values = {name: value for name, value in vars(options).items() if name in flat_options.DEFAULTS and value is not None}
    values["styles"] = tuple(getattr(options, "styles", ()))
    values |= {name: None for name in ("grow", "feather") if values.get(name) == AUTO}
    if values.get("guide_picture") is not None:
        values["guide_picture"] = _pixels(values["guide_picture"])
    if references := [_pixels(file) for file in getattr(options, "references", ())]:
        values["reference_picture"], values["further_references"] = references[0], tuple(references[1:])
    refine = {"on": True, "off": False, None: None}[getattr(options, "refine", None)]
    return flat_options.grouped(**{**values, "refine": refine, "control": tuple(options.control), **more})


def _pixels(file: Path) -> np.ndarray:
    return decode(existing(file).read_bytes()).pixels


def _expansion(options: argparse.Namespace, size: tuple[int, int]) -> tuple[int, int, int, int]:
    if (options.margins is None) == (options.to is None):
        raise InvalidInput("It is not said how far to expand.", "Give either --margins L,T,R,B or --to RATIO.")
    if options.margins is not None:
        return options.margins
    (width, height), (across, down) = size, _RATIOS[options.to]
    wide, high = max(round(height * across / down) - width, 0), max(round(width * down / across) - height, 0)
    return wide // 2, high // 2, wide - wide // 2, high - high // 2


def _motion(text: str) -> tuple[float, float]:
    try:
        across, down = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not DX,DY") from None
    return across, down


def _margins(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LEFT,TOP,RIGHT,BOTTOM") from None
    return left, top, right, bottom


def _unit(text: str) -> ControlUnit:
    preprocessor, *more = text.split(":")
    kinds: tuple[Callable[[str], Any], ...] = (str, float, float, float, str)
    names = ("model", "weight", "start", "end", "mode")
    if not 1 <= len(more) <= len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not PREPROCESSOR:MODEL[:WEIGHT[:START[:END[:MODE]]]]")
    try:
        given: dict[str, Any] = {name: kind(part) for name, kind, part in zip(names, kinds, more, strict=False)}
        return ControlUnit(preprocessor, **given)
    except (ValueError, InvalidInput) as error:
        modes = ", ".join(get_args(ControlMode))
        raise argparse.ArgumentTypeError(f"{text!r}: {error} (modes: {modes})") from None
