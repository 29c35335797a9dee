"""One picture or a folder of them: which files come in, where results go, and files that are there whole or not at all."""

from __future__ import annotations

import argparse
import logging
import os
import threading
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clickpaint.errors import ClickpaintError, Interrupted, InvalidInput
from clickpaint.image.picture_files import ENDINGS
from clickpaint.image.readers import format_of
from clickpaint.image.whole_file import write_whole

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.image.picture import Picture
    from clickpaint.progress import Step
    from clickpaint.studio.studio import Studio

T = TypeVar("T")

log = logging.getLogger(__name__)

_RESULTS = ("_mask", "_removed", "_cutout", "_cropped", "_map", "_filled", "_replaced", "_expanded", "_instructed", "_edited", "_varied",
            "_colorized", "_restored", "_enlarged")  # fmt: skip
"""What the commands put behind a picture's name for theirs."""

_UNDER_WAY = 3
"""Pictures of a folder that are in memory at once."""

_LONGEST = 255
"""Bytes of a file's name, where the file system does not say."""


class Outputs:
    """Names for results: none is that of a file that came in, and no two are the same, also where letters' case does not count."""

    def __init__(self, inputs: Iterable[Path]) -> None:
        self._inputs: set[tuple[int, int]] = set()
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        for path in inputs:
            with suppress(OSError):
                status = path.stat()
                self._inputs.add((status.st_dev, status.st_ino))  # by any name, as links have

    def is_input(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self._inputs

    def claim(self, folder: Path, stems: Sequence[str], ending: str, what: str = "", further: bool = False) -> Path:
        """A path in `folder` that no other result has and that is no file that came in.

        Args:
            stems: names without their ending, tried in this order, and then the first of them with numbers.
            ending: of the name, with its dot.
            what: is put before the ending and, as that, stays whole where a name has to be shortened.
            further: only with numbers, and a file that is there already is never replaced.
        """
        plain = [] if further else [(stem, what + ending) for stem in stems]
        with self._lock:  # several pictures are under way at once
            for stem, tail in chain(plain, ((stems[0], f"{what}_{number}{ending}") for number in count(2))):
                path = folder / _fitting(folder, stem, tail)
                if not self._is_taken(path) and not (further and os.path.lexists(path)):
                    self._taken.add(_key(path))
                    return path
        raise AssertionError("numbers do not end")

    def claim_named(self, path: Path) -> Path:
        """The path that the user named. Raises `InvalidInput` where that is a file that came in, or a device."""
        _check_replaceable(path)
        if self._is_taken(path):
            raise InvalidInput("{path} would be overwritten.", "Name another file with -o.", path=path)
        self._taken.add(_key(path))
        return path

    def _is_taken(self, path: Path) -> bool:
        return _key(path) in self._taken or self.is_input(path)


class Place:
    """Where the results of one picture go.

    Attributes:
        path: of the first result.
        named: whether the user named this very file; its ending then decides the format.
        outputs: where further names come from.
    """

    def __init__(self, path: Path, named: bool, outputs: Outputs, file: Path | None) -> None:
        self.path, self.named, self.outputs = path, named, outputs
        self._kept_ending = "" if named or file is None else file.suffix.lower()

    @property
    def ending(self) -> str:
        return self.path.suffix.lower()

    @property
    def format(self) -> str | None:
        """The format that the name asks for; None for the one that came in.

        Raises:
            InvalidInput: the ending is that of no format.
        """
        if self.ending in ("", self._kept_ending):
            return None
        if self.ending not in ENDINGS:
            raise InvalidInput(
                "There is no format for {file}.", "Choose one of {endings}.", file=self.path.name, endings=", ".join(ENDINGS)
            )
        return ENDINGS[self.ending]

    def write(self, files: Iterable[bytes]) -> list[Path]:
        """Write every result, the second one as NAME_2 or the next number that is free; returns where."""
        paths: list[Path] = []
        for data in files:
            further = bool(paths)
            path = self.outputs.claim(self.path.parent, [self.path.stem], self.path.suffix, further=True) if further else self.path
            write(path, data)
            paths.append(path)
        return paths

    def beside(self, ending: str) -> Path:
        """A path of the same name with another ending."""
        return self.outputs.claim(self.path.parent, [self.path.stem], ending)


def mask_for(mask: Path, file: Path, picture: Picture) -> np.ndarray:
    """The mask for a picture, bool [H, W]: of a file, or of the file of a folder that is called like the picture.

    Raises:
        InvalidInput: there is none, or it does not fit the picture.
    """
    from clickpaint.image import mask as masks

    if mask.is_dir():
        wanted = [_alike(name) for name in (file.stem, f"{file.stem}_mask", file.name)]
        named = {_alike(path.stem): path for path in reversed(pictures_in(mask))}
        mask = next((named[name] for name in wanted if name in named), mask)
        if mask.is_dir():
            raise InvalidInput(
                "There is no mask for {file} in {mask}.",
                "Name it {stem}.png or {stem}_mask.png.",
                file=file.name,
                mask=mask,
                stem=file.stem,
            )
    return masks.from_file(existing(mask).read_bytes(), picture.size)


def existing(file: Path) -> Path:
    """`file`, which is there. Raises `InvalidInput`."""
    if not file.is_file():
        raise InvalidInput("There is no file {file}.", file=file)
    return file


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that can be opened, by their endings or, without a known one, by their first bytes; sorted."""
    paths = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("._") or path.is_dir():  # macOS's notes about another file
            continue
        if path.suffix.lower() in ENDINGS:
            if path.is_file() or path.is_symlink():
                paths.append(path)
        elif path.is_file() and _begins_as_picture(path):
            paths.append(path)
    return paths


def _begins_as_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return format_of(file.read(64)) is not None
    except OSError:
        return False


def for_each(
    options: argparse.Namespace, studio: Studio, what: str, suffix: Callable[[Path], str], work: Callable[[Path, Place], str]
) -> int:
    """`work` for the picture, or for each one of the folder under a progress bar; what fails there does not stop the rest.

    Args:
        what: is put behind the names of results.
        suffix: the ending of the result of a file.
        work: given the picture's file and where its result goes, does it and returns what is to be said about it.

    Returns:
        The exit status.
    """
    source: Path = options.image
    try:
        if source.is_dir():
            return _for_each_in(source, options, studio, what, suffix, work)
        outputs = Outputs(_inputs([source], options))
        place = place_for(options.output, existing(source).stem, suffix(source), outputs, source, f"_{what}")
        line = with_bar(studio, lambda: work(source, place))
        print(f"{printable(str(place.path))}: {line}")
        return 0
    except OSError as error:
        raise InvalidInput("{filename}: {reason}.", filename=error.filename or source, reason=error.strerror or error) from error


def place_for(output: str | None, stem: str, ending: str, outputs: Outputs, file: Path | None, what: str = "") -> Place:
    """Where the result of one picture goes.

    Args:
        output: what the user said: a file, a folder, or nothing.
        stem, ending: of the name where the user named no file.
        what: comes between the two.
        file: the picture, beside which results lie by default; None where there is none.
    """
    if output is None:
        assert file is not None
        return Place(outputs.claim(file.parent, [stem], ending, what), False, outputs, file)
    if Path(output).is_dir() or output.endswith(("/", os.sep)):
        return Place(outputs.claim(Path(output), [stem], ending, what), False, outputs, file)
    return Place(outputs.claim_named(Path(output)), True, outputs, file)


def _inputs(pictures: Iterable[Path], options: argparse.Namespace) -> list[Path]:
    """All files that come in: pictures, masks, and what the results are made with."""
    paths = list(pictures)
    mask: Path | None = getattr(options, "mask", None)
    if mask is not None:
        paths += [mask] if not mask.is_dir() else list(mask.iterdir())
    return paths + [Path(value) for name in ("checkpoint", "vae") if (value := getattr(options, name, None))]


def _for_each_in(
    source: Path, options: argparse.Namespace, studio: Studio, what: str, suffix: Callable[[Path], str], work: Callable[[Path, Place], str]
) -> int:
    from tqdm import tqdm

    pictures = pictures_in(source)
    stems = Counter(_alike(path.stem) for path in pictures)
    files = [path for path in pictures if not _is_result(path, stems)]
    if not files:
        raise InvalidInput("There are no pictures in {source}.", source=source)
    if len(files) < len(pictures):
        left_out = ", ".join(path.name for path in pictures if path not in files)
        print(f"Left out as results of earlier commands: {printable(left_out)}")
    folder = Path(options.output) if options.output else source.absolute().with_name(f"{source.absolute().name}_{what}")
    among = folder.resolve() == source.resolve()  # words may lie there, pictures would be taken for pictures to work on
    if folder.is_file() or (among and any(suffix(file).lower() in ENDINGS for file in files)):
        raise InvalidInput("{folder} cannot take the results.", "Name another folder with -o.", folder=folder)
    if folder.suffix.lower() in ENDINGS and not folder.is_dir():
        raise InvalidInput("{folder} is the name of a picture, and there are results of a folder.", "Name a folder with -o.", folder=folder)

    outputs = Outputs(_inputs(source.iterdir(), options) if not among else _inputs(pictures, options))
    places = {}
    for file in files:
        names = [file.stem, file.name] if stems[_alike(file.stem)] == 1 else [file.name]
        places[file] = Place(outputs.claim(folder, names, suffix(file)), False, outputs, file)
    failed = 0
    with tqdm(total=len(files), unit="picture", disable=None) as bar, _begun_ahead(studio, work, places) as begun:
        for file, future in begun:
            try:
                line = _awaited(studio, future, bar.set_postfix_str)
            except Interrupted:
                raise
            except Exception as error:
                failed, line = failed + 1, _reason(error)
            bar.write(f"{printable(file.name)}: {line}")
            bar.update()
    print(f"{len(files) - failed} of {len(files)} pictures are done, in {printable(str(folder))}")
    return 2 if failed else 0


def _reason(error: Exception) -> str:
    """Why one picture could not be done, as a sentence."""
    if isinstance(error, ClickpaintError):
        return printable(str(error))
    if isinstance(error, OSError):
        return printable(f"{error.strerror or error}.")
    log.info("A picture could not be done", exc_info=error)
    return f"It could not be done ({type(error).__name__}); --verbose says more."


def _is_result(file: Path, stems: Container[str]) -> bool:
    """Whether the file is what an earlier command made of a picture beside it."""
    stem, _, number = file.stem.rpartition("_")
    candidates = (file.stem, stem) if number.isdecimal() else (file.stem,)
    return any(name.endswith(ending) and _alike(name[: -len(ending)]) in stems for ending in _RESULTS for name in candidates)


@contextmanager
def _begun_ahead(
    studio: Studio, work: Callable[[Path, Place], str], places: dict[Path, Place]
) -> Iterator[Iterator[tuple[Path, Future[str]]]]:
    """Every file with its work, in their order; the next ones are under way meanwhile: while one picture is computed, another is read and
    the one before is packed and written. The lanes still compute one after the other, and no more than `_UNDER_WAY` are in memory."""
    pool = ThreadPoolExecutor(_UNDER_WAY, "clickpaint-picture")
    begun: deque[tuple[Path, Future[str]]] = deque()

    def in_order() -> Iterator[tuple[Path, Future[str]]]:
        for file, place in places.items():
            begun.append((file, pool.submit(work, file, place)))
            if len(begun) == _UNDER_WAY:
                yield begun.popleft()
        while begun:
            yield begun.popleft()

    try:
        yield in_order()
    except BaseException:
        left = [future for _, future in begun if not future.cancel()]
        while left and wait(left, timeout=0.2).not_done:
            studio.shut_down()  # again and again: a picture that is still being read begins to compute only then
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def with_bar(studio: Studio, work: Callable[[], T]) -> T:
    """`work()` on another thread, with one line meanwhile that says what it is about; see `_awaited`."""
    from tqdm import tqdm

    with tqdm(bar_format="{desc}", leave=False, disable=None) as bar, ThreadPoolExecutor(1) as pool:
        return _awaited(studio, pool.submit(work), bar.set_description_str)


def _awaited(studio: Studio, future: Future[T], show: Callable[[str], None]) -> T:
    """What other threads do, and what it is about is shown meanwhile; Ctrl-C is heard on every system."""
    try:
        while not wait([future], timeout=0.2).done:
            show(next((_shown(task.step) for task in studio.tasks.visible() if task.active), ""))
    except KeyboardInterrupt:
        studio.shut_down()
        raise
    return future.result()


def _shown(step: Step) -> str:
    return f"{step.text} ({step.done} of {step.total})" if step.unit == "frame" and step.total else step.text


def with_losses(line: str, picture: Picture) -> str:
    """What is said about a result, and what of the picture's file is not in it."""
    return ". ".join([line, *(loss.text.rstrip(".") for loss in picture.source.losses)])


def printable(text: str) -> str:
    """`text` without what would stop a terminal or change it: a name may hold line breaks, and bytes that are no text."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def _alike(name: str) -> str:
    """Names that some file systems hold for equal, as one."""
    return unicodedata.normalize("NFC", name).casefold()


def _key(path: Path) -> str:
    return _alike(str(path.parent.resolve() / path.name))


def _fitting(folder: Path, stem: str, ending: str) -> str:
    """A name that is no longer than the file system takes, and never one letter cut in two."""
    try:
        longest = os.pathconf(folder if folder.is_dir() else folder.absolute().anchor, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows has no such thing
        longest = _LONGEST
    while stem and len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return stem + ending


def _check_replaceable(target: Path) -> None:
    """Raises `InvalidInput` for a device, a pipe or a folder: a file would take its place, for every program of the machine."""
    if target.exists() and not target.is_file():
        raise InvalidInput("{target} is no file.", "Name a file or a folder with -o.", target=target)


def write(target: Path, data: bytes) -> None:
    """Write a file that is either there as a whole or not at all.

    Raises:
        InvalidInput: it cannot be written.
    """
    _check_replaceable(target)
    if target.is_symlink():
        target = target.resolve()
    write_whole(target, data)
