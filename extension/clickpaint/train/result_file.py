"""The result as other programs read it: kohya's metadata for LoRAs, whole checkpoints for whole networks."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint import __version__
from clickpaint.image.whole_file import write_whole
from clickpaint.paint.checkpoint.kind import Kind
from clickpaint.train.training_settings import ADAPTERS, TrainingJob

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.train.run_types import OpenedForTraining, TrainingTurns

_BASES = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0", "sdxl_refiner": "sdxl_refiner_v1-0"}
_ARCHITECTURES = {
    "sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2-512", "sdxl": "stable-diffusion-xl-v1-base",
    "sdxl_refiner": "stable-diffusion-xl-v1-refiner",
}  # fmt: skip


def write_result(
    target: Path, job: TrainingJob, own: OpenedForTraining, result: Mapping[str, Tensor], data: TrainingTurns, steps: int
) -> None:
    """Write what was learned, whole or not at all. The same training writes the same bytes. Raises `InvalidInput`."""
    from safetensors.torch import save

    tensors, kind = dict(result), own.checkpoint.kind
    if job.kind in ("finetune", "instruct"):
        dtype = next(iter(result.values())).dtype
        for key, tensor in own.tensors().items():
            if not key.startswith(("model.diffusion_model.", "model_ema.")):
                tensors[key] = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
    metadata = described(job, kind, own.checkpoint.name, data, steps)
    plain = save(tensors)
    (length,) = struct.unpack("<Q", plain[:8])
    metadata["sshs_model_hash"] = hashlib.sha256(plain[8 + length :]).hexdigest()
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(plain[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()  # the library writes metadata in an order by lot
    text += b" " * (-len(text) % 8)
    write_whole(target, struct.pack("<Q", len(text)) + text + plain[8 + length :])


def described(job: TrainingJob, kind: Kind, checkpoint: str, data: TrainingTurns, steps: int) -> dict[str, str]:
    """The metadata of a result: kohya's `ss_…` entries, which web UIs show, and ModelSpec's."""
    settings = job.settings
    architecture = _ARCHITECTURES[kind.family]
    if kind.family == "sd2" and kind.prediction == "v_prediction":
        architecture = "stable-diffusion-v2-768-v"
    suffix = {"lora": "/lora", "dreambooth": "/lora", "embedding": "/textual-inversion", "controlnet": "/controlnet"}.get(job.kind, "")
    entries: dict[str, Any] = {
        "modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": architecture + suffix,
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models", "modelspec.title": job.name,
        "modelspec.prediction_type": "v" if kind.prediction == "v_prediction" else "epsilon",
        "modelspec.resolution": f"{settings.resolution or kind.native_size}x{settings.resolution or kind.native_size}",
        "ss_output_name": job.name, "ss_sd_model_name": checkpoint, "ss_base_model_version": _BASES[kind.family],
        "ss_v2": kind.family == "sd2", "ss_training_comment": f"Clickpaint {__version__}",
        "ss_resolution": f"({settings.resolution or kind.native_size}, {settings.resolution or kind.native_size})",
        "ss_seed": settings.seed, "ss_steps": steps, "ss_max_train_steps": settings.steps, "ss_num_train_images": data.images,
        "ss_batch_size_per_device": settings.batch_size, "ss_gradient_accumulation_steps": settings.accumulation,
        "ss_learning_rate": settings.learning_rate, "ss_optimizer": settings.optimizer, "ss_lr_scheduler": settings.schedule,
        "ss_lr_warmup_steps": settings.warmup, "ss_max_grad_norm": settings.gradient_limit, "ss_clip_skip": settings.clip_skip,
        "ss_min_snr_gamma": settings.min_snr_gamma or None, "ss_noise_offset": settings.noise_offset or None,
        "ss_masked_loss": settings.masked_loss, "ss_max_token_length": settings.caption_tokens,
        "ss_tag_frequency": json.dumps({data.trigger or job.name: dict(data.tags or {})}, sort_keys=True),
    }  # fmt: skip
    if data.trigger:
        entries["modelspec.trigger_phrase"] = data.trigger
    if job.kind in ADAPTERS:
        lycoris = settings.algorithm in ("loha", "lokr")
        arguments = {"algo": settings.algorithm} if settings.algorithm != "lora" else {}
        if settings.conv_rank or settings.algorithm == "locon":
            arguments |= {"conv_dim": settings.conv_rank or settings.rank}
        entries |= {
            "ss_network_module": "lycoris.kohya" if lycoris else "networks.lora", "ss_network_dim": settings.rank,
            "ss_network_alpha": settings.alpha or float(settings.rank), "ss_unet_lr": settings.learning_rate,
            "ss_text_encoder_lr": settings.text_learning_rate, "ss_network_args": json.dumps(arguments) if arguments else None,
            "ss_prior_loss_weight": settings.prior_weight if job.kind == "dreambooth" else None,
        }  # fmt: skip
    return {name: str(value) for name, value in entries.items() if value is not None}
