"""EdgeTAM (Zhou et al. 2025, "EdgeTAM: On-Device Track Anything Model"): SAM 2 with a small encoder and a compressed memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickpaint.segment import sam2
from clickpaint.video.tracker_sam2 import Sam2Tracker

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE = "repvit_m1"
"""timm's name of its encoder."""


class EdgeTamTracker(Sam2Tracker):
    """EdgeTAM from transformers' layout (`model.safetensors`). Its encoder is timm's RepViT."""

    def _build(self, state: dict[str, Tensor]) -> Any:
        weights = sam2.with_shared_embedding(state)
        module = self._model_class()(self._config())
        missing, _ = module.load_state_dict({key: value.float() for key, value in weights.items()}, strict=False)
        # How many batches a norm saw in training is of no use here, and not in every file.
        missing = [key for key in missing if not key.endswith(".num_batches_tracked")]
        if missing:
            raise KeyError(f"no weights for {', '.join(missing[:5])}")
        return module

    def _config(self) -> Any:
        transformers = sam2.import_transformers()
        backbone = transformers.TimmWrapperConfig(
            architecture=BACKBONE, model_args={"in_chans": 3, "features_only": True, "out_indices": (0, 1, 2, 3)}
        )
        return transformers.EdgeTamVideoConfig(
            vision_config=transformers.EdgeTamVisionConfig(backbone_config=backbone),
            enable_temporal_pos_encoding_for_object_pointers=False,
            enable_occlusion_spatial_embedding=False,
        )

    def _model_class(self) -> Any:
        return sam2.import_transformers().EdgeTamVideoModel

    def _session_class(self) -> Any:
        from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession

        return EdgeTamVideoInferenceSession
