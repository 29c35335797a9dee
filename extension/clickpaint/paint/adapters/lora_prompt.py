"""What a prompt asks of LoRAs: the web UI's syntax, and the weights of single blocks as the extension LoRA Block Weight writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.prompt import Network

BLOCKS = {
    17: ("IN01 IN02 IN04 IN05 IN07 IN08 MID", range(3, 12)),
    26: (" ".join(f"IN{number:02}" for number in range(12)) + " MID", range(12)),
    12: ("IN04 IN05 IN07 IN08 MID", range(6)),
    20: (" ".join(f"IN{number:02}" for number in range(9)) + " MID", range(9)),
}
"""By how many weights `lbw=` has, the first of which is the text encoders': the blocks of the U-Net's way down and middle, and the
numbers of those on its way up. 17 and 26 are for Stable Diffusion 1 and 2, 12 and 20 for XL. Blocks without a weight do not count."""


@dataclass(frozen=True)
class LoraUse:
    """A LoRA that a prompt asks for.

    Attributes:
        name: as it is written.
        unet: how much it changes the U-Net; 1 as it was trained, and negative for the opposite.
        text: the same for the text encoders.
        ranks: how many of its ranks count, the first ones ("dyn"); None for all.
        blocks: (block, weight) of the U-Net's blocks "IN00", "MID", "OUT00" …, by which `unet` is multiplied, 0 for those that are not
            named; empty for no such wish.
    """

    name: str
    unet: float = 1.0
    text: float = 1.0
    ranks: int | None = None
    blocks: tuple[tuple[str, float], ...] = ()

    def weight_of(self, block: str) -> float:
        """How much the LoRA changes a layer of the U-Net.

        Args:
            block: the one it lies in, "" for none.
        """
        return self.unet * dict(self.blocks).get(block, 0.0) if self.blocks and block else self.unet


def lora_uses(networks: Iterable[Network]) -> tuple[LoraUse, ...]:
    """What `<lora:name>`, `<lora:name:weight>`, `<lora:name:text:unet>`, `<lora:name:te=0.5:unet=1:dyn=8:lbw=…>` in a prompt ask for: the
    web UI's syntax and order. `<lyco:…>` is another name for the same.

    Args:
        networks: as `diffusion.prompt.without_networks` finds them.

    Raises:
        InvalidInput: something else is asked for, or a weight is no number.
    """
    return tuple(_use(network) for network in networks)


def _use(network: Network) -> LoraUse:
    if network.kind not in ("lora", "lyco"):
        raise InvalidInput(
            "<{kind}:{name}> is not known here.",
            "Take it out of the prompt; <lora:name:weight> and <hypernet:name:weight> are known.",
            kind=network.kind,
            name=network.name,
        )
    named = {key.strip().lower(): value for key, _, value in (argument.partition("=") for argument in network.arguments) if _}
    placed = [argument for argument in network.arguments if "=" not in argument]
    foreign = next((key for key in named if key not in ("te", "unet", "dyn", "lbw")), None)
    if foreign is not None:
        raise InvalidInput(
            "<lora:{name}> is asked for with {argument}=, which is not known here.",
            "Take it out; te=, unet=, dyn= and lbw= are known.", name=network.name, argument=foreign,
        )  # fmt: skip
    text = _weight(network.name, named.get("te", placed[0] if placed else "1"))
    unet = _weight(network.name, named.get("unet", placed[1] if len(placed) > 1 else str(text)))
    ranks = _ranks(network.name, named.get("dyn", placed[2] if len(placed) > 2 else None))
    base, blocks = _blocks(network.name, named["lbw"]) if "lbw" in named else (1.0, ())
    return LoraUse(network.name, unet, text * base, ranks, blocks)


def _weight(name: str, written: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise InvalidInput(
            "The weight of <lora:{name}> is no number: {written}.", "Write <lora:name:0.8>.", name=name, written=repr(written)
        )
    return weight


def _ranks(name: str, written: str | None) -> int | None:
    if written is None:
        return None
    if not written.strip().isdecimal() or int(written) < 1:
        raise InvalidInput(
            "<lora:{name}> is asked for with dyn={value}, which is no number of ranks.", "Write dyn=8.", name=name, value=written
        )
    return int(written)


def _blocks(name: str, written: str) -> tuple[float, tuple[tuple[str, float], ...]]:
    """(the text encoders' weight, those of the blocks)"""
    try:
        base, *weights = (float(number) for number in written.split(","))
        down, up = BLOCKS[len(weights) + 1]
        if not all(map(math.isfinite, (base, *weights))):
            raise ValueError(written)
    except (ValueError, KeyError) as error:
        raise InvalidInput(
            "<lora:{name}> is asked for with lbw={value}, which is not a list of 12, 17, 20 or 26 numbers.",
            "Write the numbers of a preset in place of its name, or take lbw= out.",
            name=name,
            value=written,
        ) from error
    return base, tuple(zip([*down.split(), *(f"OUT{number:02}" for number in up)], weights, strict=True))
