"""The composition root: the host, what is shared, and the use-cases of every kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clickpaint.caption.registry import Captioners, Surroundings
from clickpaint.errors import InvalidInput, NotFound
from clickpaint.hosts.base import Capabilities, Host
from clickpaint.image import picture_files
from clickpaint.image.geometry import Box
from clickpaint.image.picture import Picture
from clickpaint.image.picture_files import Limits
from clickpaint.progress import Progress
from clickpaint.session.entries import StorageBounds
from clickpaint.session.steps import State
from clickpaint.session.storage import WorkspaceStorage
from clickpaint.session.workspace import Workspace
from clickpaint.session.workspaces import Bounds, Workspaces
from clickpaint.settings import MEGABYTE, MEGAPIXEL
from clickpaint.studio.animating import Animating
from clickpaint.studio.control_maps import ControlMaps
from clickpaint.studio.downloads import Downloads
from clickpaint.studio.erasing import Erasing
from clickpaint.studio.extracting import Extracting
from clickpaint.studio.generation import Generation
from clickpaint.studio.inventory import Inventory
from clickpaint.studio.map_cache import MapCache
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_files import OwnFiles
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.painting import Painting
from clickpaint.studio.queue import Compute
from clickpaint.studio.reading import Reading
from clickpaint.studio.request import Requests
from clickpaint.studio.selecting import Selecting
from clickpaint.studio.several_pictures import SeveralPictures
from clickpaint.studio.steering import Steering
from clickpaint.studio.systems import Systems
from clickpaint.studio.tasks import Tasks
from clickpaint.studio.training_data import TrainingData
from clickpaint.studio.trainings import Trainings
from clickpaint.studio.video_library import VideoLibrary
from clickpaint.studio.video_objects import VideoObjects
from clickpaint.studio.video_painting import VideoPainting
from clickpaint.studio.video_results import VideoResults
from clickpaint.studio.video_views import VideoViews
from clickpaint.studio.videos import Videos
from clickpaint.studio.word_masks import WordMasks
from clickpaint.studio.words import Words

_MOST_CODECS = 4  # pictures decoded or encoded at once: each may take several times its size


def file_name(name: str, format: str) -> str:
    """The name of the file that a picture is saved as.

    Args:
        name: of the file that was opened.
        format: "PNG" and so on.
    """
    return (PurePosixPath(name).stem or "picture") + picture_files.extension(format)


@dataclass(frozen=True)
class Travel:
    """A step back or forth.

    Attributes:
        step: the one undone or redone.
        changed: outside of this box the picture shown is the one before, an empty box where all of it is; None where their sizes differ.
    """

    step: State
    changed: Box | None


class Studio:
    """One per program. Everything here may be called from any thread; errors are `ClickpaintError`s.

    Attributes:
        host: the program around us.
        pool: segmenters, erasers and their caches.
        captioners: all that can say something here.
        tasks: what is under way, and how it is stopped.
        compute: the lane of long work.
        clicks: the lane of clicks.
        requests: how use-cases run.
        workspaces: the pictures that are open.
        selecting, reading, erasing, extracting, painting, generation, animating, steering, control_maps, word_masks, words,
            several_pictures, training_data, trainings, videos, downloads, inventory, own_files: the use-cases.
        video_library, video_views, video_objects, video_results: those of videos that stay open.
        own_sampler: ours, on the host's checkpoint.
        systems: those with files of their own.
    """

    def __init__(self, host: Host, pool: ModelPool | None = None) -> None:
        self.host = host
        self.pool = pool or ModelPool(host)
        self.tasks = Tasks(host.interrupted)
        self.compute = Compute(host.exclusive)
        self.clicks = Compute(host.beside)
        self.requests = Requests(self.tasks, self.compute, self.clicks, self.pool)
        storage = WorkspaceStorage(host.data_folder() / "workspaces", self._storage_bounds, self.decode)
        self.workspaces = Workspaces(self._bounds, self.tasks.active, self.tasks.interrupt, storage, self._brought_back)
        here = Surroundings(host.folders, host.device, host.setting, host.caption, lambda: _silent(host.capabilities()))
        self.captioners = Captioners(here, self.pool.store, self.pool.models)
        maps = MapCache(host, self.pool)
        self.own_sampler = OwnSampler(host, self.pool, maps, self.captioners)
        self.selecting = Selecting(self.requests, self.pool)
        self.reading = Reading(self.requests, self.pool)
        self.erasing = Erasing(host, self.requests, self.pool, self._picture_changed)
        self.extracting = Extracting(self.requests, self.pool, self._picture_changed)
        self.systems = Systems(host, self.pool)
        self.painting = Painting(host, self.pool, self.own_sampler, self.systems, self.requests, self._picture_changed)
        self.generation = Generation(self.pool, self.own_sampler, self.systems, self.requests)
        self.control_maps = ControlMaps(self.requests, self.pool, self.workspaces, maps, self._picture_changed)
        self.word_masks = WordMasks(host, self.requests, self.pool, self.captioners, self.own_sampler)
        self.words = Words(self.requests, self.pool, self.captioners, self.selecting, self.word_masks)
        self.steering = Steering(host, self.own_sampler, self.captioners)
        self.several_pictures = SeveralPictures(self.requests, self.selecting, self.workspace, self.encode, file_name)
        self.training_data = TrainingData(host, self.requests, self.captioners, self.words, self.word_masks, self.control_maps)
        video_painting = VideoPainting(host, self.pool, self.own_sampler)
        self.videos = Videos(host, self.requests, self.pool, self.selecting, video_painting)
        self.video_library = VideoLibrary(host, self.requests, self.tasks, lambda: self.limits)
        self.animating = Animating(self.generation, self.video_library)
        self.video_views = VideoViews(self.requests, self.video_library)
        self.video_objects = VideoObjects(
            host, self.requests, self.pool, self.selecting, self.word_masks, self.video_library, self.video_views
        )
        self.video_results = VideoResults(host, self.requests, self.pool, self.video_library, video_painting)
        self.trainings = Trainings(host, self.pool, self.tasks, self.compute, self.own_sampler, self.training_data.data_set)
        self.downloads = Downloads(host, self.pool, self.tasks)
        self.inventory = Inventory(host, self.pool)
        self.own_files = OwnFiles(host, self.pool)
        self._codecs = threading.BoundedSemaphore(_MOST_CODECS)

    @property
    def limits(self) -> Limits:
        """What a picture may have at most, by the settings."""
        return Limits(max_pixels=self.host.setting("max_megapixels") * MEGAPIXEL, max_bytes=self.host.setting("max_upload_mb") * MEGABYTE)

    def decode(self, data: bytes) -> Picture:
        """Raises `InvalidInput` for what is no picture, `TooLarge` for one over the limits."""
        with self.requests.admitted(), self._codecs:
            return picture_files.decode(data, self.limits)

    def encode(self, picture: Picture, format: str | None = None, quality: int | None = None) -> bytes:
        """The picture's file.

        Args:
            picture: what to write.
            format: its name, None for the one it came in.
            quality: 1 to 100, for JPEG and WebP; None for the source's own or a high one.

        Raises:
            InvalidInput: a format that cannot be written, a quality out of range.
        """
        with self.requests.admitted(), self._codecs:
            return picture_files.encode(picture, format, quality=quality)

    def save(self, workspace: Workspace, version: int | None = None, format: str | None = None, quality: int | None = None) -> Path:
        """Save a picture in the host's folder for saved ones, beside those that are there.

        Args:
            workspace: whose.
            version: of the picture; None for the one shown now.
            format: its name, None for the one it came in.
            quality: 1 to 100, for JPEG and WebP; None for the source's own or a high one.

        Returns:
            Where it is.

        Raises:
            NotFound: there is no such version. InvalidInput: a format or a quality that cannot be, or the folder cannot be written.
        """
        picture = workspace.picture(version)
        data = self.encode(picture, format, quality)
        name = file_name(workspace.name, format or picture.source.format)
        try:
            return self.host.save(data, name)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise InvalidInput(
                "The picture cannot be saved in the folder for saved pictures: {reason}.",
                "Free some space or choose another folder in the settings, or let the browser download it.",
                reason=reason,
            ) from error

    def open(self, data: bytes, name: str = "") -> Workspace:
        """A new workspace with the picture of this file; its encoding starts in the background. Raises as `decode`, and `Busy`."""
        workspace = self.workspaces.open(self.decode(data), name, data, self.pool.segmenter_name())
        self.selecting.encode_ahead(workspace)
        return workspace

    def workspace(self, id: str) -> Workspace:
        """Raises `NotFound`."""
        return self.workspaces.get(id)

    def check_owner(self, id: str) -> None:
        """Raises `NotFound` where there is neither a workspace nor a video of this id."""
        if not self.video_library.storage.has(id):
            self.workspace(id)

    def close(self, id: str) -> None:
        """Close a workspace, stop what is under way for it and remove what is stored of it. Raises `NotFound`."""
        if not self.workspaces.close(id):
            raise NotFound("There is no such workspace (any more).", "Open the picture again.")

    def put_away(self, id: str) -> None:
        """Close a workspace, and let what is stored of it be: it can be asked for again. Raises `NotFound`."""
        if not self.workspaces.put_away(id) and not self.workspaces.history([id]):
            raise NotFound("There is no such workspace (any more).", "Open the picture again.")

    def undo(self, workspace: Workspace) -> Travel:
        """One step back, over selections and results alike. Raises `InvalidInput`."""
        with self.requests.run("undo", workspace) as request, request.turn():
            return self._travel(workspace, workspace.undo)

    def redo(self, workspace: Workspace) -> Travel:
        """One step forth again. Raises `InvalidInput`."""
        with self.requests.run("redo", workspace) as request, request.turn():
            return self._travel(workspace, workspace.redo)

    def _travel(self, workspace: Workspace, way: Callable[[], State]) -> Travel:
        before = workspace.state.version
        step = way()
        return Travel(step, workspace.difference(before, workspace.state.version))

    def interrupt(self, workspace: str | None = None) -> int:
        """Stop what waits or runs for one workspace, or for requests without one (None); returns how many."""
        return self.tasks.interrupt(workspace)

    def shut_down(self) -> None:
        """Stop everything that is under way, and wait until what was done is stored."""
        self.tasks.interrupt_all()
        self.workspaces.settle()
        self.video_library.shut_down()

    @contextmanager
    def in_this_thread(self, progress: Progress) -> Iterator[None]:
        """Compute in this thread, which the host called from the middle of its own work; see `Requests.in_this_thread`."""
        with self.requests.in_this_thread(progress):
            yield

    def _brought_back(self, workspace: Workspace) -> None:
        self.selecting.encode_ahead(workspace)

    def _picture_changed(self, workspace: Workspace) -> None:
        self.workspaces.make_room(workspace)
        self.selecting.encode_ahead(workspace)

    def _bounds(self) -> Bounds:
        setting = self.host.setting
        return Bounds(setting("max_workspaces"), setting("workspaces_budget_mb") * MEGABYTE, setting("workspace_minutes") * 60)

    def _storage_bounds(self) -> StorageBounds:
        return StorageBounds(self.host.setting("keep_workspaces_days"), self.host.setting("keep_workspaces_mb") * MEGABYTE)


def _silent(can: Capabilities) -> str | None:
    return "" if can.caption else can.caption_reason or None
