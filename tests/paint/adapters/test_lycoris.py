"""Relatives of LoRA against LyCORIS itself: what its own modules make of a layer's weights is what ours add to the layer's answers."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from clickpaint.paint.adapters.change import change_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lycoris = pytest.importorskip("lycoris")
    from lycoris.modules.boft import ButterflyOFTModule
    from lycoris.modules.ia3 import IA3Module
    from lycoris.modules.norms import NormModule

OURS = {
    "lora_up.weight": "up", "lora_down.weight": "down", "lora_mid.weight": "mid", "a1.weight": "a1", "a2.weight": "a2", "b1.weight": "b1",
    "b2.weight": "b2", "bm.weight": "bm",
}  # fmt: skip
"""Roles of tensors by LyCORIS's names; the others are the same."""


def layer(kind: str) -> Any:
    """A layer with weights of its own."""
    torch.manual_seed(1)
    made: Any = {
        "linear": lambda: nn.Linear(24, 32),
        "3 x 3": lambda: nn.Conv2d(24, 32, 3, padding=1, stride=2),
        "1 x 1": lambda: nn.Conv2d(24, 32, 1),
        "layer norm": lambda: nn.LayerNorm(32),
        "group norm": lambda: nn.GroupNorm(4, 32),
    }[kind]()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made.requires_grad_(False)


def asked(kind: str) -> torch.Tensor:
    torch.manual_seed(2)
    return {"linear": torch.randn(5, 24), "layer norm": torch.randn(5, 32), "group norm": torch.randn(2, 32, 3, 3)}.get(
        kind, torch.randn(2, 24, 7, 7)
    )


KINDS = {
    "LoRA": (lycoris.LoConModule, {"alpha": 2.0}),
    "LoCon with a middle layer": (lycoris.LoConModule, {"alpha": 2.0, "use_tucker": True}),
    "rank-stabilised LoRA": (lycoris.LoConModule, {"alpha": 2.0, "rs_lora": True}),
    "DoRA of the outputs": (lycoris.LoConModule, {"alpha": 2.0, "weight_decompose": True, "wd_on_out": True}),
    "DoRA of the inputs": (lycoris.LoConModule, {"alpha": 2.0, "weight_decompose": True, "wd_on_out": False}),
    "LoHa": (lycoris.LohaModule, {"alpha": 2.0}),
    "LoHa in Tucker's decomposition": (lycoris.LohaModule, {"alpha": 2.0, "use_tucker": True}),
    "LoHa as DoRA": (lycoris.LohaModule, {"alpha": 2.0, "weight_decompose": True, "wd_on_out": True}),
    "LoKr": (lycoris.LokrModule, {"alpha": 2.0, "factor": 4, "lora_dim": 2}),
    "LoKr of two low ranks": (lycoris.LokrModule, {"alpha": 2.0, "factor": 8, "lora_dim": 2, "decompose_both": True}),
    "LoKr in Tucker's decomposition": (lycoris.LokrModule, {"alpha": 2.0, "factor": 4, "lora_dim": 2, "use_tucker": True}),
    "LoKr of whole matrices": (lycoris.LokrModule, {"alpha": 2.0, "factor": 4, "lora_dim": 2, "full_matrix": True}),
    "GLoRA": (lycoris.GLoRAModule, {"alpha": 2.0}),
    "OFT": (lycoris.DiagOFTModule, {}),
    "OFT with a limit": (lycoris.DiagOFTModule, {"constraint": 0.01}),
    "OFT with other lengths": (lycoris.DiagOFTModule, {"rescaled": True}),
    "BOFT": (ButterflyOFTModule, {}),
    "BOFT with other lengths": (ButterflyOFTModule, {"rescaled": True, "constraint": 0.01}),
    "IA3": (IA3Module, {}),
    "IA3 of the inputs": (IA3Module, {"train_on_input": True}),
}


def trained(make: Any, module: Any, options: dict[str, Any]) -> tuple[Any, dict[str, torch.Tensor]]:
    """(LyCORIS's module with random weights, what it saves by our roles)"""
    made = make("layer", module, 1.0, **{"lora_dim": 4, **options})
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "dora_scale" in name or "rescale" in name:
                parameter.mul_(torch.rand_like(parameter) + 0.5)
            else:
                nn.init.normal_(parameter, std=0.3)
    saved = made.custom_state_dict() if hasattr(made, "custom_state_dict") and made.custom_state_dict() else made.state_dict()
    return made, {OURS.get(key, key): value.detach().clone() for key, value in saved.items() if key != "scalar"}


@pytest.mark.parametrize("kind", ["linear", "3 x 3", "1 x 1"])
@pytest.mark.parametrize("what", KINDS)
@torch.no_grad()
def test_a_layer_answers_as_with_the_weights_that_lycoris_makes(what, kind):
    make, options = KINDS[what]
    module, x = layer(kind), asked(kind)
    theirs, roles = trained(make, module, options)
    plain, own = module(x), module.weight.clone()
    wanted = theirs(x)  # as in training; what LyCORIS merges is another thing where it has faults
    assert float((wanted - plain).abs().max()) > 1e-2
    answer = plain + change_of(roles, module.weight, 1.0).answer(module, x)
    torch.testing.assert_close(answer, wanted, rtol=1e-4, atol=1e-4)
    half = change_of(roles, module.weight, 0.5).answer(module, x)
    torch.testing.assert_close(half, 0.5 * (wanted - plain), rtol=1e-4, atol=1e-4)  # as the web UI weighs, whatever the kind
    assert torch.equal(module.weight, own)


@pytest.mark.parametrize("kind", ["layer norm", "group norm"])
@torch.no_grad()
def test_a_norm_answers_as_with_the_weights_that_lycoris_makes(kind):
    module, x = layer(kind), asked(kind)
    theirs, roles = trained(NormModule, module, {})
    assert roles.keys() == {"w_norm", "b_norm"}
    plain = module(x)
    other = layer(kind)
    weight, bias = theirs.get_merged_weight(0.7)
    other.weight.data, other.bias.data = weight, bias
    torch.testing.assert_close(plain + change_of(roles, module.weight, 0.7).answer(module, x), other(x), rtol=1e-4, atol=1e-5)
    # each of both may be there alone
    other.bias.data = module.bias
    answer = plain + change_of({"w_norm": roles["w_norm"]}, module.weight, 0.7).answer(module, x)
    torch.testing.assert_close(answer, other(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_glora_as_lycoris_wrote_it_once_is_what_the_web_ui_makes_of_it():
    module, x = layer("linear"), asked("linear")
    a1, a2, b1, b2 = torch.randn(4, 24), torch.randn(24, 4), torch.randn(4, 24), torch.randn(32, 4)
    roles = {"a1": a1, "a2": a2, "b1": b1, "b2": b2, "alpha": torch.tensor(4.0)}
    delta = b2 @ b1 + module.weight @ a2 @ a1
    torch.testing.assert_close(
        change_of(roles, module.weight, 0.5).answer(module, x), 0.5 * nn.functional.linear(x, delta), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_turns_that_old_versions_wrote_are_taken_as_they_are():
    module, x = layer("linear"), asked("linear")
    turns = torch.linalg.qr(torch.randn(8, 4, 4))[0]
    wanted = nn.functional.linear(x, torch.block_diag(*turns).T @ module.weight, module.bias)
    answer = module(x) + change_of({"oft_diag": turns}, module.weight, 1.0).answer(module, x)
    torch.testing.assert_close(answer, wanted, rtol=1e-4, atol=1e-4)
