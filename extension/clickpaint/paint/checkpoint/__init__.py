"""A loaded Stable Diffusion checkpoint as diffusers' and transformers' modules, on the very tensors of its source: nothing is copied."""

from clickpaint.paint.checkpoint.kind import Kind
from clickpaint.paint.checkpoint.opening import Checkpoint, Checkpoints, alias_report, open_checkpoint
from clickpaint.paint.checkpoint.pipeline import PipelineSource
from clickpaint.paint.checkpoint.source import FileSource, Source, TensorSource
from clickpaint.paint.checkpoint.text import TextEncoder

__all__ = [
    "Checkpoint", "Checkpoints", "FileSource", "Kind", "PipelineSource", "Source", "TensorSource", "TextEncoder", "alias_report",
    "open_checkpoint",
]  # fmt: skip
