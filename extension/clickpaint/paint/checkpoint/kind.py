"""Which kind of Stable Diffusion a set of tensors is, and what a file is that is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.unet import UNetLayout, read_layout

Family = Literal["sd1", "sd2", "sdxl", "sdxl_refiner"]
Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Kind:
    """What a checkpoint is.

    Attributes:
        family: which text encoders and conditioning it takes.
        prediction: what its UNet answers.
        in_channels: 4, 5 (depth beside the latents), 8 (instruct-pix2pix) or 9 (inpainting).
        native_size: side in pixels of the square that it was trained on.
        zero_terminal_snr: whether it was trained on a schedule that ends in pure noise.
    """

    family: Family
    prediction: Prediction
    in_channels: int
    native_size: int
    zero_terminal_snr: bool = False

    @property
    def title(self) -> str:
        """For people."""
        purpose = {5: " depth", 8: " instruct-pix2pix", 9: " inpainting"}.get(self.in_channels, "")
        return _TITLES[self.family] + purpose + (" (v)" if self.prediction == "v_prediction" else "")

    @property
    def engine(self) -> str:
        """The engine that it is painted with where nothing speaks for another."""
        return {5: "depth", 8: "instruct"}.get(self.in_channels, "inpaint")

    @property
    def sees_hole(self) -> bool:
        """Whether it gets the picture with the hole beside the latents, and so keeps the surroundings by itself."""
        return self.in_channels == 9

    @property
    def instructs(self) -> bool:
        """Whether it was trained to do to a picture what a prompt says."""
        return self.in_channels == 8

    @property
    def only_instructs(self) -> bool:
        """Whether it cannot do anything else."""
        return self.instructs

    @property
    def multiple(self) -> int:
        """What the sides of a picture in pixels are multiples of."""
        return 8

    @property
    def memoryless(self) -> tuple[str, ...]:
        """Its samplers that do not remember earlier steps, which going back would make wrong."""
        return "DDPM", "DDIM"

    @property
    def latent_scale(self) -> float:
        """What the VAE's latents are multiplied by."""
        return 0.13025 if self.family.startswith("sdxl") else 0.18215

    @property
    def encoders(self) -> tuple[int, ...]:
        """The widths of its text encoders, in order: 768 CLIP ViT-L/14, 1024 OpenCLIP ViT-H/14, 1280 OpenCLIP ViT-bigG/14."""
        return {"sd1": (768,), "sd2": (1024,), "sdxl": (768, 1280), "sdxl_refiner": (1280,)}[self.family]

    @property
    def head_channels(self) -> int | None:
        """Channels of an attention head of the UNet; None for 8 heads everywhere."""
        return None if self.family == "sd1" else 64

    def scheduler_config(self) -> dict[str, Any]:
        """The noise schedule it was trained with, as diffusers' schedulers take it."""
        return {
            "num_train_timesteps": 1000,
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "prediction_type": self.prediction,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "clip_sample": False,
            "set_alpha_to_one": False,
            **({"rescale_betas_zero_snr": True} if self.zero_terminal_snr else {}),
        }


_TITLES = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "Stable Diffusion XL",
    "sdxl_refiner": "Stable Diffusion XL refiner",
}
_FAMILIES: dict[tuple[int, int], Family] = {(768, 0): "sd1", (1024, 0): "sd2", (2048, 2816): "sdxl", (1280, 2560): "sdxl_refiner"}
"""By width of the prompt's embedding and of the vector beside the time."""


def identify(unet: Mapping[str, tuple[int, ...]], prediction: Prediction | None = None, markers: Iterable[str] = ()) -> Kind:
    """The kind of a UNet, by its shapes; original keys without prefix.

    The shapes of Stable Diffusion 2 do not tell what it predicts. Without `prediction` and without a marker it is taken for noise,
    which `opening.predicts_velocity` then puts to the test.

    Args:
        prediction: where that is known.
        markers: names of tensors beside the UNet: "v_pred" and "ztsnr" say what the shapes cannot.

    Raises:
        InvalidInput: the UNet is of no kind that is known here.
    """
    return kind_of(read_layout(unet), prediction, markers)


def kind_of(layout: UNetLayout, prediction: Prediction | None = None, markers: Iterable[str] = ()) -> Kind:
    """`identify`, of a layout that was read before."""
    family = _FAMILIES.get((layout.context, layout.label))
    if family is None or layout.in_channels not in (4, 5, 8, 9) or layout.out_channels != 4:
        odd = _ODD.get((layout.context, layout.label), "of an unknown kind") if layout.in_channels in (4, 5, 8, 9) else "of an unknown kind"
        raise InvalidInput(
            "The UNet is {kind}: a context of {context}, a vector of {vector} and {in_channels} input channels.",
            "Choose a checkpoint of Stable Diffusion 1, 2 or XL.",
            context=layout.context,
            vector=layout.label,
            in_channels=layout.in_channels,
            kind=odd,
        )
    markers = set(markers)
    if prediction is None:
        prediction = "v_prediction" if "v_pred" in markers else "epsilon"
    if family == "sd1":
        size = 512
    elif family == "sd2":
        size = 768 if prediction == "v_prediction" else 512
    else:
        size = 1024
    return Kind(family, prediction, layout.in_channels, size, "ztsnr" in markers)


_ODD = {
    (1024, 1536): "that of Stable unCLIP, which starts from pictures",
    (1024, 2048): "that of Stable unCLIP, which starts from pictures",
    (1024, 768): "that of Stable Video Diffusion",
}
_OTHERS = (
    (("lora_unet_", "lora_te_", "lora_te1_", ".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".hada_w1_a", ".lokr_w1"), "a LoRA"),
    (("control_model.", "controlnet_cond_embedding.", "input_hint_block.", "zero_convs.", "controlnet_down_blocks."), "a ControlNet"),
    (("joint_blocks.",), "Stable Diffusion 3"),
    (("double_blocks.", "transformer.single_transformer_blocks."), "Flux"),
    (("quant_state.bitsandbytes__",), "quantised (NF4 or FP4)"),
    (("string_to_param", "emb_params", "clip_l", "clip_g"), "a textual inversion embedding"),
    (("down_blocks.0.resnets.0.", "down_blocks.0.attentions.0."), "a UNet in diffusers' layout, without text encoder and VAE"),
    (("encoder.conv_in.", "encoder.down."), "a VAE"),
    (("ip_adapter.", "image_proj."), "an IP-Adapter"),
    (("text_model.", "transformer.resblocks."), "a text encoder"),
)


def what_else(keys: Iterable[str]) -> str:
    """What a file without a UNet of Stable Diffusion is, as far as its keys tell; "" where they do not."""
    keys = list(keys)
    for signs, title in _OTHERS:
        if any(sign in key for key in keys for sign in signs):
            return title
    return ""
