"""The use-case of letting a picture move: a clip that begins with it, opened as any other."""

from __future__ import annotations

import importlib.util
from pathlib import PurePosixPath

from clickpaint.paint.paint_job import PaintOptions
from clickpaint.session.open_video import SOURCE, OpenVideo
from clickpaint.session.workspace import Workspace
from clickpaint.studio.generation import Generation
from clickpaint.studio.video_library import VideoLibrary
from clickpaint.video.clip_writing import write_clip
from clickpaint.video.new_clip import NewClip, check_rate


class Animating:
    """Part of the studio."""

    def __init__(self, generation: Generation, library: VideoLibrary) -> None:
        self._generation, self._library = generation, library

    def animate(
        self, workspace: Workspace, options: PaintOptions, system: str = "auto", frames: int = 14, fps: float = 7.0, motion: int = 127
    ) -> OpenVideo:
        """The picture shown begins to move; the clip is opened, an mp4 where PyAV is, otherwise a GIF.

        Args:
            fps: frames a second, 0.1 to 120.

        Raises:
            As `Generation.animate` and `VideoLibrary.open`.
        """
        check_rate(fps)
        picture = workspace.picture()
        made = self._generation.animate(picture, options, system, frames, fps, motion, workspace)
        ending = ".gif" if importlib.util.find_spec("av") is None else ".mp4"
        name = f"{PurePosixPath(workspace.name).stem or 'picture'}_animated{ending}"
        with self._library.incoming() as part:
            file = part / SOURCE / name
            write_clip(file, made.frames, NewClip(made.frames, fps))
            file.rename(part / SOURCE / "0")
            return self._library.open(part, [name])
