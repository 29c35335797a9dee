"""The command line: the studio's use-cases as commands, and the server of the page."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint import __version__
from clickpaint.errors import ClickpaintError, Interrupted, InvalidInput
from clickpaint.settings import SETTINGS

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.image.picture import Picture
    from clickpaint.segment.base import Prompts
    from clickpaint.studio import Studio
    from clickpaint.tasks import Task

_FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 for an error that was printed as a sentence, 130 after Ctrl-C."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return options.command(options)
    except ClickpaintError as error:
        print(f"clickpaint: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clickpaint", description="Click on anything in a picture, then remove it.")
    parser.add_argument("--version", action="version", version=f"clickpaint {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(group: Any, name: str, work: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        made = group.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(command=work)
        return made

    add_serve_options(command(commands, "serve", serve, "serve the page and the API"))

    segment = command(commands, "segment", segment_pictures, "make masks of what is pointed at")
    _add_picture_options(segment, "MASK.png", "where the mask goes, or the folder for masks; beside the picture by default")

    remove = command(commands, "remove", remove_from_pictures, "remove what is pointed at, or what a mask selects")
    _add_picture_options(remove, "OUT", "where the result goes, or the folder for results; beside the picture by default")
    remove.add_argument("--mask", type=Path, metavar="FILE", help="what to remove: white, or alpha; for a folder of pictures also a folder")
    remove.add_argument("--eraser", metavar="NAME", help=SETTINGS["eraser"].help)
    remove.add_argument("--grow", type=int, metavar="N", help="pixels by which the mask is grown")
    remove.add_argument("--feather", type=int, metavar="N", help="pixels over which the result fades into the picture")

    models = commands.add_parser("models", help="list, download and verify model files").add_subparsers(metavar="COMMAND", required=True)
    _add_host_options(command(models, "list", list_models, "list the models and what there is of them"))
    for name, work, help in (
        ("download", download_models, "download models"),
        ("verify", verify_models, "read model files that are here and compare their checksums"),
    ):
        made = command(models, name, work, help)
        made.add_argument("names", nargs="*" if name == "verify" else "+", metavar="NAME", help="as `models list` names it")
        _add_host_options(made)

    _add_host_options(command(commands, "doctor", run_doctor, "tell what is installed, what is missing, and what to do"))
    return parser


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`, which `install.py run` takes as well."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s); any other but loopback asks for a token")
    parser.add_argument("--port", type=int, help="port to listen on (7870, or the next free one); 0 for any")
    parser.add_argument("--token", help="what clients must know; made up and printed where the address is not loopback")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--output-dir", metavar="DIR", help="folder for saved pictures (outputs)")
    _add_host_options(parser)


def _add_picture_options(parser: argparse.ArgumentParser, output: str, output_help: str) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures, which all get the same points")
    parser.add_argument(
        "--point", type=_point, action="append", default=[], metavar="X,Y[,0]", help="a click in pixels; with ,0 one that removes"
    )
    parser.add_argument("--box", type=_box, metavar="L,T,R,B", help="a box in pixels, right and bottom exclusive")
    parser.add_argument("--segmenter", metavar="NAME", help=SETTINGS["segmenter"].help)
    parser.add_argument("-o", "--output", type=Path, metavar=output, help=output_help)
    _add_host_options(parser)


def _add_host_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of settings.json, models/ and outputs/ (the project's)")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], metavar="DIR",
                        help="folder with models, a web UI's for example; may be repeated; the first one takes downloads")  # fmt: skip
    parser.add_argument("--device", help=SETTINGS["device"].help)
    parser.add_argument("--precision", choices=SETTINGS["precision"].choices, help="auto: half where it is faster and right")
    parser.add_argument("--offline", action="store_true", default=None, help="never download")
    parser.add_argument("--verbose", action="store_true", help="say more about what is going on")


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


def _host(options: argparse.Namespace) -> EmbeddedHost:
    from clickpaint.hosts.embedded import EmbeddedHost

    chosen = {key: getattr(options, key, None) for key in ("device", "precision", "offline", "output_dir")}
    overrides = {key: value for key, value in chosen.items() if value is not None}
    return EmbeddedHost(options.data_dir, models_dirs=[folder.absolute() for folder in options.models_dir], overrides=overrides)


def _studio(options: argparse.Namespace) -> Studio:
    from clickpaint.studio import Studio

    return Studio(_host(options))


def serve(options: argparse.Namespace) -> int:
    from clickpaint.serving import serve

    return serve(_host(options), options.host, options.port, options.token, browser=not options.no_browser)


def segment_pictures(options: argparse.Namespace) -> int:
    from clickpaint.image import mask as masks

    studio, prompts = _studio(options), _prompts(options)

    def work(file: Path, target: Path) -> str:
        if target.suffix.lower() != ".png":
            raise InvalidInput(f"A mask cannot be written to {target.name}.", "Masks are PNG files: give it a name that ends in .png.")
        clicked = studio.segment(studio.decode(file.read_bytes()), prompts, options.segmenter)
        best = clicked.candidates[clicked.chosen]
        _write(target, masks.to_png(best.mask))
        share = best.mask.mean()
        return f"{clicked.segmenter} selected {share:.1%} of the picture, score {best.score:.2f}"

    return _for_each(options, studio, "mask", lambda file: ".png", work)


def remove_from_pictures(options: argparse.Namespace) -> int:
    if options.mask is not None and (options.point or options.box):
        raise InvalidInput("There are a mask and points.", "Give either --mask, or --point and --box.")
    studio, prompts = _studio(options), None if options.mask else _prompts(options)

    def work(file: Path, target: Path) -> str:
        format = _format_for(file, target)
        picture = studio.decode(file.read_bytes())
        if prompts is None:
            selected, how = _mask_for(options.mask, file, picture), "the mask"
        else:
            clicked = studio.segment(picture, prompts, options.segmenter)
            selected, how = clicked.candidates[clicked.chosen].mask, clicked.segmenter
        eraser, result = studio.erase_picture(picture, selected, options.eraser, options.grow, options.feather)
        _write(target, studio.encode(result, format))
        return f"{eraser} removed what {how} selected"

    return _for_each(options, studio, "removed", lambda file: file.suffix, work)


def _prompts(options: argparse.Namespace) -> Prompts:
    from clickpaint.segment.base import Point, Prompts

    if not options.point and options.box is None:
        raise InvalidInput(
            "Nothing was pointed at.", "Give --point X,Y or --box L,T,R,B" + (", or --mask FILE." if "mask" in options else ".")
        )
    return Prompts(tuple(Point(*point) for point in options.point), options.box)


def _mask_for(mask: Path, file: Path, picture: Picture) -> np.ndarray:
    from clickpaint.image import mask as masks

    if mask.is_dir():
        found = [
            path for path in sorted(mask.iterdir()) if path.suffix.lower() in _FORMATS and path.stem in (file.stem, f"{file.stem}_mask")
        ]
        if not found:
            raise InvalidInput(f"There is no mask for {file.name} in {mask}.", f"Name it {file.stem}.png or {file.stem}_mask.png.")
        mask = found[0]
    return masks.from_file(_existing(mask).read_bytes(), picture.size)


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    return file


def _format_for(file: Path, target: Path) -> str | None:
    """The format that the target's name asks for; None, which keeps all that came in, where it is called like the file."""
    suffix = target.suffix.lower()
    if suffix in ("", file.suffix.lower()):
        return None
    if suffix not in _FORMATS:
        raise InvalidInput(f"There is no format for {target.name}.", f"Choose one of {', '.join(_FORMATS)}.")
    return _FORMATS[suffix]


def _for_each(
    options: argparse.Namespace, studio: Studio, what: str, suffix: Callable[[Path], str], work: Callable[[Path, Path], str]
) -> int:
    """`work(file, target)` for the picture, or for each one of the folder under a progress bar; what fails there does not stop the rest."""
    from tqdm import tqdm

    source: Path = options.image
    try:
        if source.is_dir():
            return _for_each_in(source, options.output, studio, what, suffix, work)
        target = options.output or source.with_name(f"{source.stem}_{what}{suffix(_existing(source))}")
        if target.is_dir():
            target = target / f"{source.stem}_{what}{suffix(source)}"
        _check_not_an_input(target, [source, getattr(options, "mask", None)])
        with tqdm(bar_format="{desc}", leave=False, disable=None) as bar:
            line = _attended(studio, lambda: work(source, target), bar.set_description_str)
        print(f"{target}: {line}")
        return 0
    except OSError as error:
        raise InvalidInput(f"{error.filename or source}: {error.strerror or error}.") from error


def _for_each_in(
    source: Path, output: Path | None, studio: Studio, what: str, suffix: Callable[[Path], str], work: Callable[[Path, Path], str]
) -> int:
    from tqdm import tqdm

    found = sorted(path for path in source.iterdir() if path.suffix.lower() in _FORMATS and path.is_file())
    stems = Counter(path.stem for path in found)
    files = [path for path in found if not _is_result(path, stems)]
    if not files:
        raise InvalidInput(f"There are no pictures in {source}.")
    folder = output or source.absolute().with_name(f"{source.absolute().name}_{what}")
    if folder.is_file() or folder.resolve() == source.resolve():
        raise InvalidInput(f"{folder} cannot take the results.", "Name another folder with -o.")
    failed = 0
    with tqdm(total=len(files), unit="picture", disable=None) as bar:
        for file in files:
            target = folder / f"{file.stem if stems[file.stem] == 1 else file.name}{suffix(file)}"
            try:
                line = _attended(studio, partial(work, file, target), bar.set_postfix_str)
            except Interrupted:
                raise
            except ClickpaintError as error:
                failed, line = failed + 1, str(error)
            bar.write(f"{file.name}: {line}")
            bar.update()
    print(f"{len(files) - failed} of {len(files)} pictures are done, in {folder}")
    return 2 if failed else 0


def _is_result(file: Path, stems: Container[str]) -> bool:
    """Whether the file is what an earlier command made of a picture beside it."""
    return any(file.stem.endswith(ending) and file.stem[: -len(ending)] in stems for ending in ("_mask", "_removed"))


def _attended(studio: Studio, work: Callable[[], str], show: Callable[[str], None]) -> str:
    """`work()` on another thread, so that what it is about can be shown meanwhile, and Ctrl-C is heard on every system."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            while not wait([future], timeout=0.2).done:
                show(next((task.step.text for task in studio.tasks.visible() if task.active), ""))
        except KeyboardInterrupt:
            studio.shut_down()
            raise
        return future.result()


def _check_not_an_input(target: Path, inputs: Sequence[Path | None]) -> None:
    if target.resolve() in [path.resolve() for path in inputs if path is not None]:
        raise InvalidInput(f"{target} would be overwritten.", "Name another file with -o.")


def _write(target: Path, data: bytes) -> None:
    """Write a file that is either there as a whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(data)
    part.replace(target)


def list_models(options: argparse.Namespace) -> int:
    from clickpaint.weights.catalog import files_of, models

    store = _studio(options).engines.store
    print(f"{'NAME':24} {'STATE':12} {'SIZE':>9}  {'ROLE':10} LICENCE")
    for name in models():
        state, first = store.state(name), files_of(name)[0]
        size = f"{state.bytes / 1e6:.0f} MB" if state.bytes else "?"
        print(f"{name:24} {state.state:12} {size:>9}  {first.role:10} {first.licence}")
        if state.state in ("corrupt", "unavailable"):
            print(f"{'':24} {state.reason}")
    return 0


def download_models(options: argparse.Namespace) -> int:
    studio = _studio(options)
    for name in options.names:
        _watch(studio.download(name), name)
        print(f"{name}: {studio.engines.store.state(name).path}")
    return 0


def verify_models(options: argparse.Namespace) -> int:
    from clickpaint.weights.catalog import models

    studio = _studio(options)
    store = studio.engines.store
    names = options.names or [name for name in models() if store.state(name).state in ("present", "corrupt")]
    wrong = 0
    for name in names:
        _watch(studio.verify(name), name)
        state = store.state(name)
        wrong += state.state != "present"
        print(f"{name}: {'right' if state.state == 'present' else state.reason}")
    if not names:
        print("No model files are here.")
    return 2 if wrong else 0


def _watch(task: Task, name: str) -> None:
    """Show a task's progress until it ends. Raises what it failed with."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        try:
            while not task.wake.wait(0.1) or task.active:
                step = task.step
                if step.total is not None and step.done is not None:
                    bar.total = step.total
                    bar.update(step.done - bar.n)
        except KeyboardInterrupt:
            task.interrupt()
            raise
    if task.state != "done":
        raise ClickpaintError(task.error or "Interrupted.")


def run_doctor(options: argparse.Namespace) -> int:
    from clickpaint.doctor import examine

    report = examine(_host(options))
    print(report.text())
    return 0 if report.healthy else 2
