"""One picture or a folder of them: where results go, progress, and files that are there whole or not at all."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint.errors import ClickpaintError, Interrupted, InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.image.picture import Picture
    from clickpaint.studio.studio import Studio

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF",
}  # fmt: skip


_ENDINGS = ("_mask", "_removed", "_filled", "_replaced", "_expanded", "_instructed")
"""What the commands put behind a picture's name for theirs."""


def mask_for(mask: Path, file: Path, picture: Picture) -> np.ndarray:
    from clickpaint.image import mask as masks

    if mask.is_dir():
        found = [
            path for path in sorted(mask.iterdir()) if path.suffix.lower() in FORMATS and path.stem in (file.stem, f"{file.stem}_mask")
        ]
        if not found:
            raise InvalidInput(f"There is no mask for {file.name} in {mask}.", f"Name it {file.stem}.png or {file.stem}_mask.png.")
        mask = found[0]
    return masks.from_file(existing(mask).read_bytes(), picture.size)


def existing(file: Path) -> Path:
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    return file


def format_for(file: Path, target: Path) -> str | None:
    """The format that the target's name asks for; None, which keeps all that came in, where it is called like the file."""
    suffix = target.suffix.lower()
    if suffix in ("", file.suffix.lower()):
        return None
    if suffix not in FORMATS:
        raise InvalidInput(f"There is no format for {target.name}.", f"Choose one of {', '.join(FORMATS)}.")
    return FORMATS[suffix]


def for_each(
    options: argparse.Namespace, studio: Studio, what: str, suffix: Callable[[Path], str], work: Callable[[Path, Path], str]
) -> int:
    """`work(file, target)` for the picture, or for each one of the folder under a progress bar; what fails there does not stop the rest."""
    from tqdm import tqdm

    source: Path = options.image
    try:
        if source.is_dir():
            return _for_each_in(source, options.output, studio, what, suffix, work)
        target = options.output or source.with_name(f"{source.stem}_{what}{suffix(existing(source))}")
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

    found = sorted(path for path in source.iterdir() if path.suffix.lower() in FORMATS and path.is_file())
    stems = Counter(path.stem for path in found)
    files = [path for path in found if not _is_result(path, stems)]
    if not files:
        raise InvalidInput(f"There are no pictures in {source}.")
    folder = output or source.absolute().with_name(f"{source.absolute().name}_{what}")
    among = folder.resolve() == source.resolve()  # words may lie there, pictures would be taken for pictures to work on
    if folder.is_file() or (among and any(suffix(file).lower() in FORMATS for file in files)):
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
    return any(file.stem.endswith(ending) and file.stem[: -len(ending)] in stems for ending in ("_mask", "_removed", "_map"))


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


def write(target: Path, data: bytes) -> None:
    """Write a file that is either there as a whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(data)
    part.replace(target)
