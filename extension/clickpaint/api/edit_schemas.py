"""What requests and answers of edits by words look like; `schemas` says what holds for all."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body, Integer, Number, at_most, picture_file
from clickpaint.api.schemas import Mode, StateAnswer


class WordEditBody(Body):
    text: StrictStr = Field(..., description="What there is to be more of, or less.")
    scale: Number = Field(5.0, description="-30 to 30; below 0 it is taken away.")
    threshold: Number = Field(0.9, description="0 to 1, the share of the picture that it is kept out of.")


class WordWeightBody(Body):
    words: StrictStr = Field(..., description="As they stand in the prompt.")
    weight: Number = Field(..., description="-10 to 10; 1 changes nothing.")


class EditFields(Body):
    """How the task edit gets from the source prompt to the prompt."""

    edit_method: Literal["p2p", "ledits", "diffedit", "sdedit"] = Field(
        "p2p", description="Prompt-to-Prompt, LEDITS++, DiffEdit or SDEdit, for the task edit."
    )
    source_prompt: StrictStr = Field("", description="What the picture shows; the prompt says what it is to show.")
    edits: list[WordEditBody] = Field([], description="LEDITS++; left out: the words in which the prompts differ.", **at_most(8))
    word_weights: list[WordWeightBody] = Field([], description="Prompt-to-Prompt.", **at_most(32))
    inversion: Literal["ddpm", "ddim", "seed"] = Field(
        "ddpm", description="Prompt-to-Prompt; seed: it was painted here, with the source prompt and this seed."
    )
    cross_steps: Number = Field(0.8, description="Prompt-to-Prompt: share of the steps that keep the attention to the words.")
    self_steps: Number = Field(0.4, description="Prompt-to-Prompt: share of the steps that keep the attention within the picture.")
    local: StrictBool = Field(False, description="Prompt-to-Prompt: change only what the changed words look at.")
    mask_ratio: Number = Field(3.0, description="DiffEdit: of the mean difference, what counts as all of it; less makes a larger mask.")


class WordMapsBody(Body):
    prompt: StrictStr = Field(..., description="What the picture shows, up to 500 letters.")
    resolution: Integer = Field(0, description="Side of the square whose area is looked at; 0: the checkpoint's own.")


class WordMapsPictureBody(WordMapsBody):
    image: StrictStr = Field(..., **picture_file())


class SelectWordBody(WordMapsBody):
    index: Integer = Field(..., description="Of the word among the prompt's.")
    threshold: Number = Field(0.5, description="0 to 1: from which share of its largest value the map is selected.")
    mode: Mode = "replace"


class WordMapAnswer(BaseModel):
    text: str = Field(..., description="In small letters.")
    map: str = Field(
        ..., description="PNG data URL, grey: how much of the word is seen there; the largest is white. Smaller than the picture."
    )


class WordMapsAnswer(BaseModel):
    words: list[WordMapAnswer] = Field(..., description="In the order of the prompt.")


class SelectWordAnswer(StateAnswer):
    word: str
