"""A ControlNet for the toy checkpoint whose effect can be foretold: it brightens what is painted where its map is bright."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.toys.controlnet import SD1, Weights, state_dict

_RANGE = 16.0  # a map's values are carried as 0..16, where SiLU is nearly the identity


def write(path: Path, strength: float = 1.0) -> Path:
    """Write PATH, in the layout of the original ControlNet files, half precision. strength: of the effect; negative darkens."""
    from safetensors.torch import save_file

    save_file({key: value.half().contiguous() for key, value in _weights(strength).items()}, path)
    return path


def _weights(strength: float) -> Weights:
    out = {key: torch.zeros_like(value) for key, value in state_dict(SD1, prefix="control_model.").items()}
    hint = "control_model.input_hint_block"
    out[f"{hint}.0.weight"][0, :, 1, 1] = _RANGE / 3  # the mean of red, green and blue, in channel 0
    for index in (2, 6, 10):
        out[f"{hint}.{index}.weight"][0, 0, 1, 1] = 1.0
    for index in (4, 8, 12):  # of stride 2: the mean of 2x2, so of 8x8 after all three
        out[f"{hint}.{index}.weight"][0, 0, 1:, 1:] = 0.25
    out[f"{hint}.14.weight"][0, 0, 1, 1] = 1 / _RANGE
    # the first of the outputs joins the network's own input at its last block: less noise found is more light
    out["control_model.zero_convs.0.0.weight"][:3, 0] = -strength
    return out
