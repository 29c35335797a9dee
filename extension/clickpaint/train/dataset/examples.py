"""What a network is trained with: pictures with their words, and with masks, control maps, or what they were before an edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LAYOUTS = {
    "text": "NAME.png and NAME.txt",
    "onetrainer": "text, and NAME-masklabel.png as OneTrainer reads it",
    "kohya": "folders N_trigger as kohya's sd-scripts read them, masks in a folder of their own",
    "kohya-alpha": "the same, with the masks as alpha channels",
    "imagefolder": "Hugging Face's imagefolder with metadata.jsonl; keeps everything",
    "instruct": "pairs of before and after, as diffusers' script for InstructPix2Pix reads them",
    "controlnet": "pictures and control maps, as diffusers' script for ControlNet reads them",
}
"""Ways to lay a data set out in a folder, and what each is."""


@dataclass(frozen=True)
class TrainingExample:
    """One picture to learn from. Only files are named, so that thousands of examples take no memory.

    Attributes:
        picture: the file of what is to be learned.
        caption: what is said of it, without the trigger word; of an edit, the instruction. May be empty.
        mask: a picture file of the same proportions, in which the object is white (opaque, where the file is transparent elsewhere); the
            picture's own file where its alpha channel is the mask; None where all of the picture counts.
        repeats: how often it comes in an epoch, at least 1.
        control_map: for a ControlNet, a picture file of the same proportions; None for none.
        before: for InstructPix2Pix, the file of the picture before the edit that the caption names; None for none.
        source: what it was taken from (the checksum or the name of a photograph), "" where that is not known.
    """

    picture: Path
    caption: str = ""
    mask: Path | None = None
    repeats: int = 1
    control_map: Path | None = None
    before: Path | None = None
    source: str = ""


@dataclass(frozen=True)
class DataSet:
    """Examples that are trained together.

    Attributes:
        examples: in the order in which they are shown.
        trigger: the word that the object is to be called by, "" for none.
        name: for people, "" for none.
    """

    examples: tuple[TrainingExample, ...]
    trigger: str = ""
    name: str = ""

    def prompt(self, example: TrainingExample) -> str:
        """What a trainer gives the text encoder for an example of this set: its caption with the trigger word; an instruction as it is."""
        return example.caption if example.before is not None else with_trigger(example.caption, self.trigger)


def with_trigger(caption: str, trigger: str) -> str:
    """A caption that has the trigger word in it: before it, unless it is there already."""
    if not trigger or trigger.casefold() in caption.casefold():
        return caption
    return f"{trigger}, {caption}" if caption else trigger


def without_trigger(caption: str, trigger: str) -> str:
    """The caption that `with_trigger` made this one of."""
    if not trigger:
        return caption
    return "" if caption == trigger else caption.removeprefix(f"{trigger}, ")
