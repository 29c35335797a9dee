"""From a source's tensors to modules that compute on them."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clickpaint.compat import torchvision
from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint, FlowKind
from clickpaint.paint.checkpoint.kind import Kind, kind_of
from clickpaint.paint.checkpoint.meta import assign, empty, main_dtype, on_meta
from clickpaint.paint.checkpoint.networks import Part, Parts, split
from clickpaint.paint.checkpoint.packed_weights import stored, stored_bytes
from clickpaint.paint.checkpoint.source import Source
from clickpaint.paint.checkpoint.streaming import streamed
from clickpaint.paint.checkpoint.text import TextEncoder, build_text_encoder
from clickpaint.paint.checkpoint.unet import UNetLayout, read_layout
from clickpaint.paint.checkpoint.vae import vae_config, vae_key

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Networks whose every weight is the source's own tensor. They are in evaluation mode, want no gradients, and nobody writes to
    their weights.

    Attributes:
        name: for people.
        kind: what it is.
        layout: the build of the UNet, which also translates names of parameters into the original's.
        unet: diffusers' module.
        vae: diffusers' module, which may compute in another type (`vae.dtype`).
        text_encoders: in the family's order.
        scheduler_config: the noise schedule, as diffusers' schedulers take it.
        dtype: what the UNet computes in.
        device: where inputs go.
    """

    name: str
    kind: Kind
    layout: UNetLayout
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: tuple[TextEncoder, ...]
    scheduler_config: Mapping[str, Any]
    dtype: torch.dtype
    device: torch.device

    def networks(self) -> dict[str, torch.nn.Module]:
        """All its networks, by their names."""
        texts = {f"text encoder {number}": encoder.model for number, encoder in enumerate(self.text_encoders, 1)}
        return {"unet": self.unet, "vae": self.vae, **texts}

    def modules(self) -> list[torch.nn.Module]:
        """All its networks."""
        return list(self.networks().values())

    def computed_in(self, module: torch.nn.Module, device: torch.device) -> torch.dtype:
        """The type that one of its networks computes in: beside a network in float32, all of them compute under autocast, in which the CPU
        cannot normalise with weights in half precision."""
        import torch

        own = main_dtype(module)
        mixes = own == torch.float16 and self.dtype == torch.float32 and device.type == "cpu"
        return torch.float32 if mixes else own

    def on(self, device: torch.device) -> Checkpoint:
        """The same, with its inputs on another device."""
        return replace(self, device=device)


AnyCheckpoint = Checkpoint | FlowCheckpoint
AnyKind = Kind | FlowKind


def open_any(source: Source, previous: AnyCheckpoint | None = None) -> AnyCheckpoint:
    """`open_checkpoint`, of whichever family that is known here."""
    from clickpaint.paint.flow.flow_opening import open_flow

    torchvision.available()
    return open_flow(source, previous) or open_checkpoint(source, previous if isinstance(previous, Checkpoint) else None)


def open_checkpoint(source: Source, previous: Checkpoint | None = None) -> Checkpoint:
    """The networks of Stable Diffusion 1, 2 or XL in a source, now. Costs no memory, and no time but for what is read of a file that
    was not read before.

    Args:
        previous: one that is not needed any more. Where its modules are of the right build they get the new tensors, which takes
            milliseconds instead of the second that new modules take.

    Raises:
        InvalidInput: the tensors are no checkpoint of Stable Diffusion 1, 2 or XL, or some are missing; the message names one.
    """
    torchvision.available()  # diffusers and transformers import it where it is installed, and fail where it does not fit to torch
    parts = split(source.tensors())
    layout = read_layout(parts.unet.shapes())
    kind = kind_of(layout, source.prediction, parts.markers)
    if parts.vae is None:
        key = "first_stage_model.encoder.conv_in.weight"
        raise InvalidInput("{name} has no VAE: {key} is missing.", "Choose a VAE file to go with it.", key=key, name=source.name)
    texts = [_text_part(parts, width, source.name) for width in kind.encoders]
    if previous is not None and (previous.layout, previous.kind.family) != (layout, kind.family):
        previous = None
    unet = _build_unet(parts.unet, layout, kind, previous.unet if previous else None)
    dtype, device = main_dtype(unet), unet.device
    known = source.prediction is not None or "v_pred" in parts.markers
    if kind.family == "sd2" and kind.in_channels == 4 and not known:
        with streamed(unet, device, dtype):
            if predicts_velocity(unet):
                kind = replace(kind, prediction="v_prediction", native_size=768)
    xl = kind.family.startswith("sdxl")
    before = previous.text_encoders if previous else (None,) * len(texts)
    return Checkpoint(
        name=source.name,
        kind=kind,
        layout=layout,
        unet=unet,
        vae=vae_of(parts.vae, kind.latent_scale, previous.vae if previous else None, size=kind.native_size, upcast=xl),
        text_encoders=tuple(build_text_encoder(part, kind, old) for part, old in zip(texts, before, strict=True)),
        scheduler_config=kind.scheduler_config(),
        dtype=dtype,
        device=device,
    )


def predicts_velocity(unet: UNet2DConditionModel) -> bool:
    """Whether a UNet of Stable Diffusion 2 predicts v instead of noise, by the web UI's test: at the last step, where the input is
    all noise, a network that predicts noise answers about its input, and one that predicts v about minus the clean latents."""
    import torch

    latents = torch.full((1, 4, 8, 8), 0.5, dtype=unet.dtype, device=unet.device)
    context = torch.full((1, 2, unet.config["cross_attention_dim"]), 0.5, dtype=unet.dtype, device=unet.device)
    with torch.no_grad():
        answer = unet(latents, torch.tensor([999], device=unet.device), context).sample
    return float((answer - latents).float().mean()) < -1


def _build_unet(part: Part, layout: UNetLayout, kind: Kind, previous: UNet2DConditionModel | None) -> UNet2DConditionModel:
    from diffusers import UNet2DConditionModel

    unet = previous
    if unet is None:
        with on_meta():
            unet = UNet2DConditionModel(sample_size=kind.native_size // 8, **layout.config(kind.head_channels)).eval()
    keys = {name: layout.key(name) for name, _ in unet.named_parameters()}
    parameters = {name: part.tensors[key] for name, key in keys.items() if key in part.tensors}
    assign(unet, parameters, lambda name: part.prefix + keys[name])
    return unet


def vae_of(
    part: Part, scale: float, previous: AutoencoderKL | None = None, *, size: int = 1024, upcast: bool = False
) -> AutoencoderKL:  # fmt: skip
    """A VAE on the part's tensors.

    Args:
        scale: what its latents are multiplied by.
        previous: serves again if it is of the same build.
        size: side in pixels of the square that it was trained on, of which it makes its tiles.
        upcast: whether it may overflow in float16.
    """
    from diffusers import AutoencoderKL

    config = vae_config(part.shapes(), scale, force_upcast=upcast)
    vae = previous
    if vae is None or any(vae.config[key] != value for key, value in config.items()):
        with on_meta():
            vae = AutoencoderKL(sample_size=size, **config).eval()
    levels = len(config["block_out_channels"])
    parameters, keys = {}, {}
    for name, parameter in vae.named_parameters():
        key = keys[name] = vae_key(name, levels)
        tensor = part.tensors.get(key)
        if tensor is not None:
            # the attention's projections are 1x1 convolutions there and linear layers here
            parameters[name] = tensor[:, :, 0, 0] if tensor.dim() == 4 and parameter.dim() == 2 else tensor
    assign(vae, parameters, lambda name: part.prefix + keys[name])
    return vae


def _text_part(parts: Parts, width: int, name: str) -> Part:
    for part in parts.texts:
        tokens = next(tensor for key, tensor in part.tensors.items() if key.endswith("token_embedding.weight"))
        if tokens.shape[-1] == width:
            return part
    raise InvalidInput(
        "{name} has no text encoder of width {width}: its token_embedding.weight is missing.",
        "Choose a whole checkpoint: this one holds only a part.",
        key="token_embedding.weight",
        width=width,
        name=name,
    )


class Checkpoints:
    """Checkpoints by source: the modules are kept, the source's tensors only while they are used, so that a host can free or move
    its own in between. Thread-safe; one source is used by one at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[int, _Held] = {}

    def get(self, source: Source) -> AnyCheckpoint:
        """The checkpoint on the source's present tensors: opened once, and again in milliseconds whenever `source.version()` says
        that they are other ones. It holds them until it is asked for again after a change, or `forget`."""
        with self._lock:
            version = source.version()
            held = self._held.get(id(source))
            if held is not None and held.source is source and held.version == version:
                return held.checkpoint
            self._held.pop(id(source), None)
            checkpoint = open_any(source, held.checkpoint if held is not None and held.source is source else None)
            self._held[id(source)] = _Held(source, version, checkpoint)
            return checkpoint

    def prepare(self, source: Source) -> None:
        """Make the modules of the source's checkpoint ahead of its first use, which then takes milliseconds. Nothing is read or moved;
        they hold no tensors until then."""
        with self._lock:
            if id(source) not in self._held:
                self._held[id(source)] = _Held(source, None, open_any(source))
                self._let_go(self._held[id(source)])

    @contextmanager
    def using(self, source: Source, device: torch.device | str) -> Iterator[AnyCheckpoint]:
        """The checkpoint, ready to compute on `device`; its tensors are let go of after the (outermost) block. Those that the source
        could not bring there, and those of a type that there is no arithmetic for, are converted layer by layer."""
        import torch

        device = torch.device(device)
        with source.using(device):
            checkpoint = self.get(source)
            with self._lock:
                self._held[id(source)].users += 1
            try:
                with ExitStack() as stack:
                    for module in checkpoint.modules():
                        stack.enter_context(streamed(module, device, checkpoint.computed_in(module, device)))
                    yield checkpoint if checkpoint.device.type == device.type else checkpoint.on(device)
            finally:
                self._leave(source)

    def _leave(self, source: Source) -> None:
        with self._lock:
            held = self._held.get(id(source))
            if held is None:
                return
            held.users -= 1
            if held.users <= 0:
                self._let_go(held)

    @staticmethod
    def _let_go(held: _Held) -> None:
        held.version = None
        for module in held.checkpoint.modules():
            empty(module)

    def forget(self, source: Source | None = None) -> None:
        """Let go of one source's checkpoint, or of all."""
        with self._lock:
            self._held = {} if source is None else {key: held for key, held in self._held.items() if held.source is not source}


@dataclass
class _Held:
    """A checkpoint that is kept.

    Attributes:
        source: where its tensors come from.
        version: the source's; None where the modules are empty.
        checkpoint: its modules.
        users: blocks of `using` that are open.
    """

    source: Source
    version: Hashable | None
    checkpoint: AnyCheckpoint
    users: int = 0


@dataclass(frozen=True)
class AliasRow:
    """How much of one network lies in the source's storages.

    Attributes:
        module: the network's name.
        tensors: number of its weights.
        bytes: of all its weights.
        aliased_tensors: number of those that share memory with the source.
        aliased_bytes: of those.
    """

    module: str
    tensors: int
    bytes: int
    aliased_tensors: int
    aliased_bytes: int


def alias_report(checkpoint: AnyCheckpoint, tensors: Mapping[str, torch.Tensor]) -> list[AliasRow]:
    """One row for each network: how many of its weights share memory with `tensors`, the source's."""
    storages = {_storage(tensor) for tensor in tensors.values()}
    networks = checkpoint.networks()
    rows = []
    for name, network in networks.items():
        sizes = [(stored_bytes(weight), _storage(weight) in storages) for weight in network.parameters()]
        aliased = [size for size, shared in sizes if shared]
        rows.append(AliasRow(name, len(sizes), sum(size for size, _ in sizes), len(aliased), sum(aliased)))
    return rows


def _storage(tensor: torch.Tensor) -> Hashable:
    """Something that two tensors have in common when they lie in the same memory."""
    own = stored(tensor)[0]
    return own.untyped_storage().data_ptr(), own.untyped_storage().nbytes(), own.device
