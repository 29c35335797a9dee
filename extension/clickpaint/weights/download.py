"""Bring a file of the catalog onto this machine, whatever the network does on the way.

The bytes collect in NAME.part and become NAME in one atomic step when their checksum is right. A download that broke off
goes on where it stopped, also after a kill, from whichever address answers. Two who want the same file at once: one
downloads, the other waits and shows the first one's progress.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from clickpaint.errors import ClickpaintError, DownloadFailed, ModelMissing, disk_full
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.catalog import ModelFile, unfinished
from clickpaint.weights.folders import is_file
from clickpaint.weights.transfer import Network, Transfer, Unusable, no_space, sum_of

log = logging.getLogger(__name__)


def download(file: ModelFile, folder: Path, network: Network, progress: Progress = SILENT) -> Path:
    """Download the file into the folder and return its path; one that is there already and right is not asked for again.

    Progress is in bytes, with the seconds left.

    Raises:
        ModelMissing: the file has no confirmed address and checksum, or `network` is offline; says what to do instead.
        DownloadFailed: every address failed, the disk is full or the folder cannot be written. What came so far is kept and used by the
            next attempt.
        Interrupted: likewise.
    """
    target = folder / file.filename
    if file.checksum is None or not file.urls:
        raise ModelMissing(
            "{title} cannot be downloaded.",
            "{note} Put it as {filename} into {folder}.",
            model=file.name,
            title=file.title,
            note=file.note,
            filename=file.filename,
            folder=folder,
        )
    if network.offline:
        raise ModelMissing(
            "{title} is not on this machine, and downloads are switched off.",
            "Switch off 'offline', or get {filename} from {address} and put it into {folder}.",
            model=file.name,
            title=file.title,
            filename=file.filename,
            address=file.urls[0],
            folder=folder,
        )
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(target, file, progress):
            if is_file(target):
                if sum_of(target, file, progress).hexdigest() == file.checksum.value:
                    return target
                set_aside(target)
            return _from_any(file, target, network, progress)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used to the first free of NAME.corrupt, NAME.1.corrupt, …; returns the new path."""
    names = [f"{path.name}.corrupt", *(f"{path.name}.{number}.corrupt" for number in range(1, 1000))]
    free = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    path.rename(free)
    return free


def _from_any(file: ModelFile, target: Path, network: Network, progress: Progress) -> Path:
    failures = []
    for url in network.addresses(file):
        try:
            return Transfer(file, target, url, network, progress).run()
        except Unusable as error:
            log.warning("%s: %s", url, error)
            failures.append(f"{urlsplit(url).netloc}: {error}")
    raise DownloadFailed(
        "{title} ({filename}) could not be downloaded. {reasons}",
        "Check the network, the proxy and the mirror and try again; it goes on where it stopped. "
        "Or get it from {address} and put it into {folder}.",
        model=file.name,
        failures=failures,
        title=file.title,
        filename=file.filename,
        reasons=" ".join(failures),
        address=file.urls[0],
        folder=target.parent,
    )


@contextmanager
def _alone(target: Path, file: ModelFile, progress: Progress) -> Iterator[None]:
    """Wait until nobody else downloads `target`. The lock is the operating system's, so it ends with the process that holds it."""
    from filelock import FileLock, Timeout  # comes with torch

    lock = FileLock(str(target.with_name(f".{target.name}.lock")))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.2)
        except NotImplementedError:
            log.warning("%s lies on a file system without locks: do not download there twice at once", target.parent)
            break
        except Timeout:
            part = unfinished(target)
            with contextlib.suppress(OSError):
                done = part.stat().st_size if is_file(part) else 0
                fraction = done / file.bytes if file.bytes else None
                text = f"{file.title} is being downloaded by another process"
                progress.report(fraction, text, done=done, total=file.bytes, unit="B")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Say what an error of the file system means."""
    try:
        yield
    except ClickpaintError:
        raise
    except OSError as error:
        if disk_full(error):
            raise no_space(folder, None, shutil.disk_usage(folder).free) from error
        raise DownloadFailed(
            "The download cannot be written into {folder}: {reason}.",
            "Check that the folder can be written, or choose another folder for models in the settings.",
            folder=folder,
            reason=error.strerror or error,
        ) from error
