"""The tensors of the checkpoint that the web UI has loaded, as `paint.checkpoint.Source`: its own, never a copy, never written to."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported
from clickpaint.hosts.webui.low_bits import in_low_bits
from clickpaint.hosts.webui.probe import checkpoint_name, flavor, loaded_model
from clickpaint.paint.checkpoint.pipeline import PipelineSource, is_stable_diffusion
from clickpaint.paint.checkpoint.quantised import kept_packed
from clickpaint.paint.checkpoint.source import Source, places

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.kind import Prediction


def source_of(model: Any | None, before: Source | None) -> Source:
    """Where the tensors of what is loaded come from; `before` if that serves still. None for `model`: nothing is loaded yet."""
    kind = PipelineSource if is_stable_diffusion(model) else WebUISource
    if isinstance(before, kind):
        return before
    return WebUISource() if kind is WebUISource else PipelineSource(_model, lambda: checkpoint_name(_model()))


class WebUISource:
    """Implements `Source` for A1111, Forge and reForge. The caller is inside `Host.exclusive`, from `using` until the last use."""

    def __init__(self) -> None:
        self._present: dict[str, torch.Tensor] | None = None

    @property
    def name(self) -> str:
        model = loaded_model()
        return "the web UI's checkpoint" if model is None else checkpoint_name(model)

    @property
    def prediction(self) -> Prediction | None:
        model = _model()
        objects = getattr(model, "forge_objects", None)
        predictor = None if objects is None else getattr(objects.unet.model, "predictor", None)
        prediction = getattr(model, "parameterization", "eps") if predictor is None else predictor.prediction_type
        return "v_prediction" if prediction in ("v", "v_prediction") else "epsilon"

    def folders(self, kind: str) -> list[Path]:
        """Where files that go with the checkpoint may lie: tokenizers, for all else is loaded."""
        from modules import paths

        return [Path(paths.models_path) / kind, *(tokenizer_folders() if kind == "tokenizers" else ())]

    def tensors(self) -> Mapping[str, torch.Tensor]:
        return self._collect() if self._present is None else self._present

    def _collect(self) -> dict[str, torch.Tensor]:
        model = _model()
        own = {f"{prefix}.{name}": tensor for prefix, module in _modules(model).items() for name, tensor in module.named_parameters()}
        # scales that stand beside weights in eight bits are parameters of the web UI's layers, too
        tensors = kept_packed({key: in_low_bits(tensor) for key, tensor in own.items()}, self.name)
        _refuse_packed(tensors)
        if getattr(model, "ztsnr", False) or getattr(getattr(model, "model_config", None), "ztsnr", False):
            import torch

            tensors["ztsnr"] = torch.empty(0)
        return tensors

    def version(self) -> Hashable:
        return places(self.tensors())

    @contextmanager
    def using(self, device: torch.device | str) -> Iterator[None]:
        """The checkpoint that is chosen in the web UI is loaded, its weights are bare of LoRAs (which the web UI merges into them, and
        merges again when it next wants them), and as much of it as the web UI sees fit is on its device."""
        model = _load()
        if hasattr(model, "forge_objects"):
            _take_in_forge(model)
            with self._still():
                yield
        else:
            with _without_loras(model):
                _take_in_a1111(model)
                with self._still():
                    yield

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Nobody else moves or replaces the tensors within, so they are looked up only once: among a thousand modules that takes as
        long as all else that opening does."""
        self._present = self._collect()
        try:
            yield
        finally:
            self._present = None


def _model() -> Any:
    model = loaded_model()
    if model is None:
        raise HostUnsupported("The web UI has no checkpoint loaded.", "Choose one at the top of the page.")
    return model


def _load() -> Any:
    """The checkpoint that is chosen in the web UI, loaded if it is not."""
    from modules import sd_models, shared

    if hasattr(sd_models, "forge_model_reload"):
        sd_models.forge_model_reload()  # Forge puts it off until the first generation
    elif loaded_model() is None:
        _ = shared.sd_model
    return _model()


def _modules(model: Any) -> dict[str, Any]:
    """The networks by what stands before their keys in a file."""
    objects = getattr(model, "forge_objects", None)
    if objects is not None and not hasattr(objects.unet.model.diffusion_model, "input_blocks"):
        return _transformers_modules(objects)
    if objects is not None:
        return {
            "model.diffusion_model": objects.unet.model.diffusion_model,
            "first_stage_model": objects.vae.first_stage_model,
            "cond_stage_model": objects.clip.cond_stage_model,
        }
    diffusion = getattr(getattr(model, "model", None), "diffusion_model", None)
    if not hasattr(diffusion, "input_blocks"):
        raise _unsupported(type(model).__name__)
    text = "conditioner" if hasattr(model, "conditioner") else "cond_stage_model"
    return {"model.diffusion_model": diffusion, "first_stage_model": model.first_stage_model, text: getattr(model, text)}


def _transformers_modules(objects: Any) -> dict[str, Any]:
    """Of the families that came after the U-Net, whose tensors Forge and its forks keep by the names of their makers."""
    from clickpaint.paint.flow.registry import family_among

    network = objects.unet.model.diffusion_model
    if family_among({f"model.diffusion_model.{name}": parameter for name, parameter in network.named_parameters()}) is None:
        raise _unsupported(type(network).__name__)
    return {"model.diffusion_model": network, "vae": objects.vae.first_stage_model, "text_encoders": objects.clip.cond_stage_model}


def tokenizer_folders() -> list[Path]:
    """Where Forge keeps the tokenizers of the models that it knows."""
    from modules import paths

    return [Path(paths.script_path) / "backend" / "huggingface"]


def _unsupported(network: str) -> HostUnsupported:
    return HostUnsupported(
        "The loaded checkpoint ({kind}) is not one that engines of Clickpaint's own can run.",
        "Choose another checkpoint, or the web UI's own sampler as the engine.",
        kind=network,
    )


def _refuse_packed(tensors: Mapping[str, Any]) -> None:
    for key, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise HostUnsupported(
                "The web UI holds the checkpoint's weights as {dtype}, which only its own sampler can compute with.",
                'Choose "Automatic" as "Diffusion in Low Bits" at the top of the page, or the web UI\'s own sampler as the engine.',
                key=key, dtype=str(tensor.dtype).removeprefix("torch."),
            )  # fmt: skip


def _take_in_forge(model: Any) -> None:
    """By Forge's memory management, and by the patchers without LoRAs, which take those out again that are merged."""
    bare = getattr(model, "forge_objects_original", None) or model.forge_objects
    patchers = [bare.clip.patcher, bare.vae.patcher, bare.unet]
    if flavor().name == "reForge":
        from ldm_patched.modules import model_management as memory  # type: ignore[import-not-found]
    else:
        from backend import memory_management as memory  # type: ignore[import-not-found]
    memory.load_models_gpu(patchers)


@contextmanager
def _without_loras(model: Any) -> Iterator[None]:
    """What A1111's built-in extension has merged is taken out by its own means; those that it wants are merged again by the next
    layer that computes after this block."""
    networks: Any = sys.modules.get("networks")
    if not hasattr(networks, "network_apply_weights"):
        yield
        return
    wanted = list(networks.loaded_networks)
    networks.loaded_networks.clear()
    try:
        for module in model.modules():
            if getattr(module, "network_current_names", ()):
                networks.network_apply_weights(module)
        yield
    finally:
        networks.loaded_networks.extend(wanted)


def _take_in_a1111(model: Any) -> None:
    from modules import devices, lowvram, sd_models, shared

    if not getattr(model, "lowvram", False):
        sd_models.send_model_to_device(model)
    elif not shared.cmd_opts.lowvram and lowvram.module_in_gpu is not model.model:
        # medvram: the UNet, which computes most often, takes the one place on the card, as when the web UI itself samples
        lowvram.send_everything_to_cpu()
        model.model.to(devices.device)
        lowvram.module_in_gpu = model.model
