"""The host of a stand-alone server that strangers use: small limits, and nothing of theirs stays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported
from clickpaint.hosts.base import Capabilities
from clickpaint.hosts.embedded import EmbeddedHost

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.image.picture import Picture

LIMITS: dict[str, Any] = {
    "keep_workspaces_days": 0,
    "keep_workspaces_mb": 0,
    "workspace_minutes": 20,
    "max_workspaces": 16,
    "workspaces_budget_mb": 1024,
    "embeddings_budget_mb": 256,
    "max_megapixels": 8,
    "max_upload_mb": 16,
    "keep_videos_days": 0,
    "keep_videos_mb": 1024,
    "max_video_mb": 64,
    "max_video_frames": 600,
    "offline": True,
}
"""Settings where neither an option nor the environment (CLICKPAINT_MAX_MEGAPIXELS=12) says otherwise."""


class PublicHost(EmbeddedHost):
    """Implements `Host`. Arguments as `EmbeddedHost`'s; settings.json is not what changes `LIMITS`, since it may be a private program's."""

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        models_dirs: Sequence[Path] = (),
        overrides: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        limits = {key: value for key, value in LIMITS.items() if f"CLICKPAINT_{key.upper()}" not in environment}
        super().__init__(data_dir, models_dirs=models_dirs, overrides={**limits, **(overrides or {})}, environment=environment)

    def capabilities(self) -> Capabilities:
        can = super().capabilities()
        return replace(can, public=True, reason=can.reason and "This server has no checkpoint to paint with.")  # the reason names folders

    def keep(self, result: Picture, name: str, mask: np.ndarray, prompt: str, seed: int, infotext: str) -> None:
        """Nothing is kept."""

    def save(self, data: bytes, name: str) -> Path:
        raise HostUnsupported("This server keeps no files.", "Download the picture instead.")
