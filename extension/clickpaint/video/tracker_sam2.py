"""SAM 2.1 (Ravi et al. 2024, "SAM 2: Segment Anything in Images and Videos") as a tracker, through transformers' own session."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.segment import sam2
from clickpaint.segment.resizing import resized
from clickpaint.segment.upscale import above
from clickpaint.video.base import Frames
from clickpaint.video.tracking import TrackedFrame
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device, release, retrying
from clickpaint.weights.load_weights import load_state_dict, wrong_weights
from clickpaint.weights.store import Store

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_OBJECT = 1
"""The object's number in transformers' session; a tracker follows one."""
_SURE = 1.0
"""How far from 0 a logit has to be for a pixel that is surely one or the other (as in `segment-anything`'s stability score)."""
_LESS_MEMORY = "Close other programs, choose a smaller tracker, or set the device to cpu."


class Sam2Tracker:
    """SAM 2.1 in four sizes. It remembers the frame that the mask was given for and the last few; an object that was hidden is found again.

    The frames are handed to transformers' session one by one as it asks for them, and what it remembers of frames that it does not look
    back to any more is dropped, so that memory does not grow with the clip. Weights stay in the model cache.

    Args:
        name: the tracker's key.
        model: the catalog's name of its weights.
    """

    def __init__(self, name: str, model: str, store: Store, device: Device, cache: ModelCache) -> None:
        self.name, self.model = name, model
        self._store, self._device, self._cache = store, device, cache

    def follow(self, frames: Frames, start: int, mask: np.ndarray, stop: int, progress: Progress = SILENT) -> Iterator[TrackedFrame]:
        """As `Tracker.follow`.

        Raises:
            ModelMissing, CorruptModel: no usable weights.
            OutOfMemory: not even with everything else unloaded is there room.
        """
        step = 1 if stop > start else -1
        numbers = range(start + step, stop, step)
        if not numbers:
            return
        module = self._module(progress)
        session = self._with_less_memory(lambda: self._begun(module, frames, start, mask))
        for number in numbers:
            progress.check()
            logits, score = self._with_less_memory(lambda: self._next(module, session, number, step))  # noqa: B023
            ((tracked,),) = above(logits, (frames.size[1], frames.size[0]))
            yield TrackedFrame(number, tracked, score * _steadiness(logits) if tracked.any() else 0.0)

    def _begun(self, module: Any, frames: Frames, start: int, mask: np.ndarray) -> Any:
        """A session that knows the object in frame `start`."""
        import torch

        device, side = self._device.torch, module.config.image_size
        session = self._session_class()(
            video_height=frames.size[1], video_width=frames.size[0], inference_device=device, inference_state_device=device,
            video_storage_device=device, dtype=torch.float32,
        )  # fmt: skip
        session.processed_frames = _Squares(frames, side, self._device)
        square = torch.from_numpy(mask.astype(np.float32))[None, None].to(device)
        square = torch.nn.functional.interpolate(square, (side, side), mode="bilinear", align_corners=False, antialias=True)
        session.add_mask_inputs(session.obj_id_to_idx(_OBJECT), start, (square >= 0.5).float())
        session.obj_with_new_inputs = [_OBJECT]
        with torch.inference_mode(), self._device.autocast():
            module(session, frame_idx=start)
        _forget(module, session, start)
        return session

    def _next(self, module: Any, session: Any, number: int, step: int) -> tuple[Tensor, float]:
        """Logits [1, h, w], float32, and how likely it is that the object is in frame `number`, 0 to 1."""
        import torch

        with torch.inference_mode():
            with self._device.autocast():
                logits = module(session, frame_idx=number, reverse=step < 0).pred_masks[0].float()
            (outputs,) = session.output_dict_per_obj.values()
            score = float(torch.sigmoid(outputs["non_cond_frame_outputs"][number]["object_score_logits"].float()).max())
        _forget(module, session, number)
        return logits, score

    def _with_less_memory(self, work: Callable[[], T]) -> T:
        """`work`; if memory runs out, once more when every other model is unloaded."""

        def free() -> None:
            for held in self._cache.contents():
                if held.key != self._key:
                    self._cache.unload(held.key)
            release(self._device)

        return retrying((work, work), free, _LESS_MEMORY)

    def _module(self, progress: Progress) -> Any:
        def load() -> tuple[nn.Module, int]:
            path = self._store.require(self.model, progress)
            progress.report(None, "Loading the model")
            state = load_state_dict(path)
            try:
                module = self._build(state)
            except (RuntimeError, KeyError) as error:  # torch's own words for keys and shapes that do not fit
                raise wrong_weights(self.model, path, error) from error
            module = module.requires_grad_(False).to(self._device.torch).eval()
            return module, sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))

        return self._cache.get(self._key, load, progress)

    @property
    def _key(self) -> tuple[str, str, str]:
        return ("tracker", self.name, self._device.type)

    def _build(self, state: dict[str, Tensor]) -> Any:
        """The network with these weights, in Meta's layout or in transformers', on the CPU. Raises `KeyError` for missing ones."""
        import torch

        weights = from_meta(state) if any(key.startswith("sam_mask_decoder.") for key in state) else sam2.with_shared_embedding(state)
        settings = self._config()
        with torch.device("meta"):
            module = self._model_class()(settings)
        # Its rotary embeddings are in no file: they are computed, which the meta device does not do.
        module.memory_attention = type(module.memory_attention)(settings)
        missing, _ = module.load_state_dict({key: value.float() for key, value in weights.items()}, strict=False, assign=True)
        if missing:
            raise KeyError(f"no weights for {', '.join(missing[:5])}")
        return module

    def _config(self) -> Any:
        transformers = sam2.import_transformers()
        return transformers.Sam2VideoConfig(vision_config=sam2.config(self.model).vision_config)

    def _model_class(self) -> Any:
        return sam2.import_transformers().Sam2VideoModel

    def _session_class(self) -> Any:
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        return Sam2VideoInferenceSession


class _Squares:
    """A clip as transformers' session keeps one, made when it is asked for: float32 [3, side, side], normalised, on the device."""

    def __init__(self, frames: Frames, side: int, device: Device) -> None:
        self._frames, self._side, self._device = frames, side, device

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Tensor:
        image = resized(self._frames.frame(number), (self._side, self._side), self._device)[0].float() / 255
        mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
        return (image - mean) / std


def _forget(module: Any, session: Any, number: int) -> None:
    """Drop what the session holds of frames that are too far from frame `number` to be looked at again, and masks at full size."""
    reach = max(module.num_maskmem, module.config.max_object_pointers_in_encoder)
    for outputs in session.output_dict_per_obj.values():
        for outputs_of_kind in outputs.values():
            for output in outputs_of_kind.values():
                output.pop("high_res_masks", None)
        _drop_far(outputs["non_cond_frame_outputs"], number, reach)
    for tracked in session.frames_tracked_per_obj.values():
        _drop_far(tracked, number, reach)


def _drop_far(by_number: dict[int, Any], number: int, reach: int) -> None:
    for other in [other for other in by_number if abs(other - number) >= reach]:
        del by_number[other]


def _steadiness(logits: Tensor) -> float:
    """0 to 1: how little the mask would change with its threshold."""
    outer = int((logits > -_SURE).sum())
    return int((logits > _SURE).sum()) / outer if outer else 1.0


_RENAMED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
        (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
        (r"^no_obj_ptr$", "no_object_pointer"),
        (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
        (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
        (r"^obj_ptr_proj\.layers\.0\.", "object_pointer_proj.proj_in."),
        (r"^obj_ptr_proj\.layers\.1\.", "object_pointer_proj.layers.0."),
        (r"^obj_ptr_proj\.layers\.2\.", "object_pointer_proj.proj_out."),
        (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
        (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
        (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
        (r"\.dwconv\.", ".depthwise_conv."),
        (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
        (r"\.gamma$", ".scale"),
        (r"\.norm(\d?)\.", r".layer_norm\1."),
        (r"^(memory_attention\..*)\.out_proj\.", r"\1.o_proj."),
        # Four times a convolution, a norm and an activation in one list, then the last convolution.
        (r"\.mask_downsampler\.encoder\.12\.", ".mask_downsampler.final_conv."),
        *(
            (rf"\.mask_downsampler\.encoder\.{3 * layer + part}\.", f".mask_downsampler.layers.{layer}.{name}.")
            for layer in range(4)
            for part, name in enumerate(("conv", "layer_norm"))
        ),
    )
)
_VIDEO_PART = re.compile(r"^(mask|no_obj|obj_ptr|memory_|no_mem_pos)")


def from_meta(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of facebookresearch/sam2, with those of the memory, under the names of transformers' `Sam2VideoModel`.

    Raises:
        KeyError: it is not such a file.
    """
    weights = sam2.from_meta(state)
    for key, value in state.items():
        if _VIDEO_PART.match(key):
            for pattern, replacement in _RENAMED:
                key = pattern.sub(replacement, key)
            weights[key] = value
    return weights
