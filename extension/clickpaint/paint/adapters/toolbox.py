"""The adapters in a host's folders, as what `paint.diffusion.sampling.Tools` asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.paint.adapters.control_influence import Control, ControlPart, FlowControl, control_image
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.adapters.hypernetwork import KIND as HYPERNETWORKS
from clickpaint.paint.adapters.hypernetwork import hypernetwork_uses, hypernetworks_applied, read_hypernetwork
from clickpaint.paint.adapters.ip_adapter import ImagePrompt, IpAdapter, load_ip_adapter, looks_like_ip_adapter
from clickpaint.paint.adapters.lora import applied
from clickpaint.paint.adapters.lora_files import LoraShelf
from clickpaint.paint.adapters.lora_prompt import lora_uses
from clickpaint.paint.adapters.textual_inversion import EmbeddingShelf
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.diffusion.latents import Coder
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.prompt import without_networks
from clickpaint.paint.flow.flow_controlnets import CONTROL_FAMILIES, KNOWN, load_flow_controlnet
from clickpaint.weights.model_files import files, find, shown

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint
    from clickpaint.paint.diffusion.loop import Part
    from clickpaint.paint.diffusion.prompt import Network
    from clickpaint.paint.influence_options import ReferenceOptions
    from clickpaint.paint.paint_job import ControlUnit, PaintJob
    from clickpaint.weights.cache import ModelCache

ControlMap = Callable[["ControlUnit", "PaintJob"], "np.ndarray"]
"""Makes a unit's control map of what a job paints: uint8 [h, w, 3] of the job's size."""


Look = Callable[["np.ndarray", int, bool], "np.ndarray"]
"""What CLIP sees in a picture, uint8 [h, w, 3]: look(pixels, width, states), float32, as `ip_adapter.IpAdapter` says"""


class Toolbox:
    """ControlNets, LoRAs and textual inversions by the names that people give them.

    Args:
        folders: where files of the kinds "ControlNet", "Lora", "hypernetworks" and "embeddings" may lie, as `Host.folders` says.
        models: holds loaded ControlNets.
        control_map: called for every unit whose map is not finished, except for the preprocessor "none", which takes the picture itself
            for the map, and those that begin with "inpaint", whose map is the picture with a hole.
        look: what CLIP sees, for IP-Adapters.
    """

    def __init__(self, folders: Callable[[str], list[Path]], models: ModelCache, control_map: ControlMap, look: Look | None = None) -> None:
        self._folders = folders
        self._models = models
        self._control_map = control_map
        self._look = look
        self._loras = LoraShelf()
        self._embeddings = EmbeddingShelf()

    def controlnets(self) -> list[str]:
        """The names of the files that may be ControlNets, each another one; none is opened."""
        return list(shown(files(self._folders("ControlNet"))))

    def image_adapters(self) -> list[str]:
        """The names of the files that are IP-Adapters, by their headers, or pickles by what they are called; none is opened."""
        return [name for name, path in shown(files(self._folders("ControlNet"))).items() if looks_like_ip_adapter(path)]

    def control(self, checkpoint: AnyCheckpoint, job: PaintJob) -> Sequence[Part]:
        """The part of the job's control units in the denoising loop.

        Raises:
            NotFound: there is no ControlNet of that name.
            InvalidInput: it was made for another family, or is none.
        """
        if isinstance(checkpoint, FlowCheckpoint):
            return [ControlPart(self._flow_controls(checkpoint, job))]
        controls = []
        for unit, drawn in zip(job.options.control, job.maps or [None] * len(job.options.control), strict=True):
            if drawn is None and unit.preprocessor.startswith("inpaint"):
                image = control_image(job.pixels, job.mask)
            else:
                image = control_image(self._map(unit, drawn, job))
            model = self.controlnet(unit.model, checkpoint)
            controls.append(Control(model, image.to(checkpoint.device), unit.weight, unit.start, unit.end, unit.mode))
        return [ControlPart(controls)]

    def _map(self, unit: ControlUnit, drawn: np.ndarray | None, job: PaintJob) -> np.ndarray:
        """What a unit's ControlNet sees, uint8 [h, w, 3]."""
        if drawn is not None:
            return drawn
        return job.pixels if unit.preprocessor.lower() == "none" else self._control_map(unit, job)

    def _flow_controls(self, checkpoint: FlowCheckpoint, job: PaintJob) -> list[FlowControl]:
        family, kind = CONTROL_FAMILIES.get(checkpoint.kind.family), checkpoint.kind
        if family is None:
            raise InvalidInput(
                "Our engines have no ControlNets for {kind}.",
                "Remove the ControlNet units, or choose a checkpoint of {families}.",
                kind=kind.title,
                families=KNOWN,
            )
        coder, controls = Coder(checkpoint, model_of(checkpoint)), []
        for unit, drawn in zip(job.options.control, job.maps or [None] * len(job.options.control), strict=True):
            if unit.mode != "balanced" or (drawn is None and unit.preprocessor.startswith("inpaint")):
                raise InvalidInput(
                    "ControlNets of {kind} know no {choice}.",
                    "Choose the control mode balanced and a preprocessor that makes a map.",
                    kind=kind.title,
                    choice=unit.preprocessor if unit.mode == "balanced" else f"{unit.mode} mode",
                )
            model = self.controlnet(unit.model, checkpoint)
            pixels = self._map(unit, drawn, job)
            if pixels.shape != job.pixels.shape:
                raise InvalidInput(
                    "The control map is {map_width} x {map_height} pixels, but {width} x {height} are painted.",
                    "Make it for this crop.",
                    map_width=pixels.shape[1],
                    map_height=pixels.shape[0],
                    width=job.width,
                    height=job.height,
                )
            seen = family.seen(model, pixels, coder).to(checkpoint.device)
            distilled = job.options.sampling.distilled_cfg_scale or kind.distilled or 3.5
            number = family.number(model, unit.preprocessor, unit.model)
            controls.append(FlowControl(family, model, checkpoint, seen, unit.weight, unit.start, unit.end, distilled, number))
        return controls

    def controlnet(self, name: str, checkpoint: AnyCheckpoint) -> Any:
        """A ControlNet beside the checkpoint, in its precision."""
        import torch

        if not name or name.lower() == "none":
            raise InvalidInput("A ControlNet unit names no model.", "Choose a ControlNet for every unit, or remove the unit.")
        path = find(name, self._folders("ControlNet"), "ControlNet")

        def load() -> tuple[Any, int]:
            with torch.inference_mode(False):  # what is made inside could not be used outside
                flow = isinstance(checkpoint, FlowCheckpoint)
                model: Any = load_flow_controlnet(path, checkpoint) if flow else load_controlnet(path, checkpoint)
                # not diffusers' own `to`, which warns of the layers that it would keep in float32 even where there are none
                torch.nn.Module.to(model, checkpoint.device, checkpoint.dtype)
            return model, sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())

        place = (str(checkpoint.device), str(checkpoint.dtype))
        return self._models.get(("ControlNet", str(path), path.stat().st_mtime_ns, checkpoint.name, *place), load)

    def image_prompt(self, checkpoint: AnyCheckpoint, options: ReferenceOptions) -> Part:
        """The part of a reference picture that an IP-Adapter reads, in the denoising loop.

        Raises:
            NotFound: there is no file of that name.
            InvalidInput: it is no adapter for the checkpoint.
            ModelMissing: CLIP, which it looks through, is not here.
        """
        import numpy as np
        import torch

        path = find(options.adapter, self._folders("ControlNet"), "IP-Adapter")

        def load() -> tuple[IpAdapter, int]:
            adapter = load_ip_adapter(path, checkpoint)  # type: ignore[arg-type]
            tensors = (*adapter.keys.values(), *adapter.values.values(), *adapter.projection.parameters())
            return adapter, sum(tensor.numel() * tensor.element_size() for tensor in tensors)

        place = (str(checkpoint.device), checkpoint.name)
        adapter = self._models.get(("IP-Adapter", str(path), path.stat().st_mtime_ns, *place), load)
        assert options.picture is not None and self._look is not None
        seen, nothing = (
            torch.from_numpy(self._look(pixels, adapter.width, adapter.states)).to(checkpoint.device)
            for pixels in (options.picture, np.zeros_like(options.picture))
        )
        return ImagePrompt(adapter, seen, nothing if adapter.states else torch.zeros_like(seen), options)

    @contextmanager
    def adapted(self, checkpoint: AnyCheckpoint, networks: Sequence[Network]) -> Iterator[list[str]]:
        """The checkpoint with the LoRAs and hypernetworks that a prompt asks for, within this block; yields what is to be said about
        them.

        Raises:
            NotFound: there is none of that name.
            InvalidInput: it was made for another family, or is none.
        """
        hypernetworks = [
            (read_hypernetwork(find(name, self._folders(HYPERNETWORKS), "hypernetwork")), weight)
            for name, weight in hypernetwork_uses([network for network in networks if network.kind == "hypernet"])
        ]
        uses = lora_uses(network for network in networks if network.kind != "hypernet")
        with (
            applied(checkpoint, [(self._loras.get(use.name, self._folders("Lora")), use) for use in uses]) as notes,
            hypernetworks_applied(checkpoint, hypernetworks),
        ):
            yield notes

    def words(self, checkpoint: AnyCheckpoint, *prompts: str) -> dict[str, tuple[Tensor, ...]]:
        """The textual inversions that occur in the prompts: those in the folders, and those that LoRAs of the prompts bring along.

        Args:
            checkpoint: whose text encoders are to read them.
            prompts: in the web UI's syntax.
        """
        if isinstance(checkpoint, FlowCheckpoint):  # there are none for T5 and Qwen, and those for CLIP alone say too little
            return {}
        bundled: dict[str, Mapping[str, Any]] = {}
        for network in (network for prompt in prompts for network in without_networks(prompt)[1]):
            if network.kind in ("lora", "lyco"):
                try:
                    bundled = {**self._loras.embeddings(network.name, self._folders("Lora")), **bundled}
                except ClickpaintError:
                    continue  # said where the LoRA itself is asked for
        words: dict[str, tuple[Tensor, ...]] = {}
        for prompt in prompts:
            words = {**self._embeddings.words(prompt, self._folders("embeddings"), checkpoint, bundled), **words}
        return words
