"""`video remove`, `video fill`, `video replace` and `video track`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.cli.files import existing, printable, with_bar
from clickpaint.cli.options import add_command, add_host_options, add_prompt_options, prompts_of, studio_of
from clickpaint.cli.painting import add_paint_options, paint_options
from clickpaint.errors import InvalidInput
from clickpaint.settings import SETTINGS

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.studio.studio import Studio
    from clickpaint.video.base import Masks
    from clickpaint.video.clips import Clip
    from clickpaint.video.tracking import TrackedMasks


_WHERE = "where the result goes: a folder for PNGs, a GIF, or a video; beside the clip by default"


def add_commands(commands: Any) -> None:
    group = commands.add_parser("video", help="work on clips", description="Work on clips.")
    family = group.add_subparsers(metavar="COMMAND", required=True)

    remove = add_command(family, "remove", remove_from_clip, "remove something from every frame of a clip")
    _add_clip_options(remove, "OUT", _WHERE)
    remove.add_argument("--masks", type=Path, metavar="MASKS", help="what to remove in each frame: a folder of masks, or a clip of them")
    networks = "propainter or wan_vace; or an image eraser, which paints where no frame shows what is behind. "
    remove.add_argument("--eraser", metavar="NAME", help=networks + SETTINGS["eraser"].help)
    remove.add_argument("--grow", type=int, metavar="N", help="pixels by which the masks are grown (4; with --masks 0)")
    remove.add_argument("--feather", type=int, metavar="N", default=0, help="pixels over which the result fades into the frames (0)")
    remove.add_argument("--lossless", action="store_true", help="keep every value outside of the masks; larger files")

    filling = add_command(family, "fill", fill_in_clip, "paint what a prompt says where something is in every frame of a clip")
    _add_clip_options(filling, "OUT", _WHERE)
    filling.add_argument(
        "--masks", type=Path, metavar="MASKS", help="what to paint over in each frame: a folder of masks, or a clip of them"
    )
    filling.add_argument(
        "--key-frames", type=int, metavar="N", default=12, help="frames from one that is painted to the next (%(default)s)"
    )
    filling.add_argument("--lossless", action="store_true", help="keep every value outside of the masks; larger files")
    filling.set_defaults(task="fill")
    add_paint_options(filling)

    replacing = add_command(family, "replace", replace_in_clip, "put another background around something in every frame of a clip")
    _add_clip_options(replacing, "OUT", _WHERE)
    replacing.add_argument("--masks", type=Path, metavar="MASKS", help="what stays in each frame: a folder of masks, or a clip of them")
    replacing.add_argument(
        "--background", type=Path, metavar="FILE", help="a picture or a clip to be there, cut to the frames; without it --prompt is painted"
    )
    replacing.add_argument(
        "--key-frames", type=int, metavar="N", default=12, help="frames after which what the camera uncovered is painted (%(default)s)"
    )
    replacing.add_argument("--lossless", action="store_true", help="keep every value of what stays; larger files")
    replacing.set_defaults(task="replace")
    add_paint_options(replacing)

    track = add_command(family, "track", track_in_clip, "make the masks of something in every frame of a clip")
    _add_clip_options(track, "MASKS", "where the masks go: a folder for PNGs, a GIF, or a video; a folder beside the clip by default")


def _add_clip_options(parser: argparse.ArgumentParser, output: str, output_help: str) -> None:
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a video, an animated GIF, WebP or PNG, or a folder of pictures")
    parser.add_argument("--frame", type=int, metavar="N", default=0, help="the frame that is pointed at; 0 is the first (%(default)s)")
    add_prompt_options(parser)
    parser.add_argument("--mask", type=Path, metavar="FILE", help="the object in that frame: white, or alpha")
    parser.add_argument("--tracker", metavar="NAME", help="what follows the object; auto: the best one whose file is here")
    parser.add_argument("-o", "--output", type=str, metavar=output, help=output_help)
    add_host_options(parser)


def remove_from_clip(options: argparse.Namespace) -> int:
    from clickpaint.video.registry import VIDEO_ERASERS

    def work(studio: Studio, clip: Clip, masks: Masks, target: Path) -> str:
        grow = options.grow if options.grow is not None else 0 if options.masks is not None else 4
        used = with_bar(studio, lambda: studio.videos.remove(clip, masks, target, options.eraser, grow, options.feather, options.lossless))
        if not used.painter:
            return f"{len(clip)} frames by {used.eraser} ({VIDEO_ERASERS[used.eraser].licence})."
        return f"{len(clip)} frames by {used.eraser}; {used.painter} painted what no frame shows."

    return _changed(options, "removed", work)


def fill_in_clip(options: argparse.Namespace) -> int:
    wanted = paint_options(options)

    def work(studio: Studio, clip: Clip, masks: Masks, target: Path) -> str:
        used = with_bar(
            studio,
            lambda: studio.videos.fill(
                clip, masks, target, wanted, every=options.key_frames, eraser=options.eraser, lossless=options.lossless
            ),
        )
        return f"{len(clip)} frames from {len(used.painted)} key frame{'s' * (len(used.painted) > 1)}, seed {used.seed}."

    return _changed(options, "filled", work)


def replace_in_clip(options: argparse.Namespace) -> int:
    if (options.background is None) == (not options.prompt):
        raise InvalidInput("It is not said what is to be there.", "Give either --background FILE or --prompt TEXT.")
    wanted = paint_options(options)

    def work(studio: Studio, clip: Clip, masks: Masks, target: Path) -> str:
        background = None if options.background is None else _background(options.background, studio)
        try:
            used = with_bar(
                studio,
                lambda: studio.videos.replace(
                    clip, masks, target, wanted, background, every=options.key_frames, eraser=options.eraser, lossless=options.lossless
                ),
            )
        finally:
            if background is not None:
                background.close()
        if background is not None:
            return f"{len(clip)} frames with another background."
        return f"{len(clip)} frames, of whose background {len(used.painted)} were painted, seed {used.seed}."

    return _changed(options, "replaced", work)


def _background(path: Path, studio: Studio) -> Clip:
    from clickpaint.video.new_clip import NewClip

    clip = _opened(path, studio)
    if path.is_dir() or len(clip) > 1:
        return clip
    clip.close()
    return NewClip([studio.decode(path.read_bytes()).pixels], 1.0)  # as a picture, upright


def _changed(options: argparse.Namespace, what: str, work: Callable[[Studio, Clip, Masks, Path], str]) -> int:
    """Let `work` write what the clip becomes, of which it returns what is to be said. what: in the name of the result."""
    from clickpaint.video.clip_writing import check_target, check_writable
    from clickpaint.video.clips import masks_for

    studio = studio_of(options)
    _check_selection(options)
    clip = _opened(options.clip, studio)
    try:
        target = _target(options, what)
        inputs = (options.clip, options.masks, options.mask, getattr(options, "background", None))
        check_target(target, [path for path in inputs if path is not None])
        check_writable(target)
        lines = []
        if options.masks is not None:
            masks = masks_for(_opened(options.masks, studio), clip)
            masks.mask(0)
        else:
            how, masks = _followed(options, studio, clip)
            lines.append(how)
        lines.append(work(studio, clip, masks, target))
    finally:
        clip.close()
    print(f"{printable(str(target))}: {' '.join(lines)}")
    return 0


def track_in_clip(options: argparse.Namespace) -> int:
    from clickpaint.video.clip_writing import check_target

    studio = studio_of(options)
    options.masks = None
    _check_selection(options)
    clip = _opened(options.clip, studio)
    try:
        target = _target(options, "masks")
        check_target(target, [path for path in (options.clip, options.mask) if path is not None])
        how, masks = _followed(options, studio, clip)
        studio.videos.write_masks((masks.mask(number) for number in range(len(masks))), target, clip)
    finally:
        clip.close()
    print(f"{printable(str(target))}: {how}")
    return 0


def _check_selection(options: argparse.Namespace) -> None:
    ways = sum((options.masks is not None, options.mask is not None, bool(options.point) or options.box is not None))
    if ways > 1:
        raise InvalidInput("There are several selections.", "Give one of --point (with --box), --mask and --masks.")
    if ways == 0:
        prompts_of(options)


def _opened(path: Path, studio: Studio) -> Clip:
    from clickpaint.video.clips import open_clip

    try:
        return open_clip(path, studio.limits)
    except OSError as error:
        raise InvalidInput("{filename}: {reason}.", filename=path, reason=error.strerror or error) from error


def _target(options: argparse.Namespace, what: str) -> Path:
    from clickpaint.video.clip_writing import is_folder

    if options.output is not None:
        return Path(options.output)
    source: Path = options.clip.absolute()
    if what == "masks" or is_folder(source):
        return source.with_name(f"{source.stem}_{what}")
    return source.with_name(f"{source.stem}_{what}{source.suffix}")


def _followed(options: argparse.Namespace, studio: Studio, clip: Clip) -> tuple[str, TrackedMasks]:
    """What is said about it, and the masks."""
    mask = _first_mask(options, studio, clip)
    name, masks = with_bar(studio, lambda: studio.videos.follow(clip, {options.frame: mask}, options.tracker))
    doubtful = masks.doubtful()
    line = f"{name} followed it through {len(masks)} frames."
    if doubtful:
        line += f" Look at {_ranges(doubtful)}: it is unsure there."
    return line, masks


def _first_mask(options: argparse.Namespace, studio: Studio, clip: Clip) -> np.ndarray:
    from clickpaint.image import mask as masks
    from clickpaint.video.registry import check_frame

    check_frame(clip, options.frame)
    if options.mask is not None:
        return masks.from_file(existing(options.mask).read_bytes(), clip.size)
    return studio.videos.select(clip, options.frame, prompts_of(options), options.segmenter)


def _ranges(numbers: list[int]) -> str:
    """ "frames 3, 7-9" for people."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return f"frame {shown}" if len(numbers) == 1 else f"frames {shown}"
