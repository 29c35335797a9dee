"""LEDITS++: several edits at once, each where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.conditioning import words_of
from clickpaint.paint.diffusion.cross_attention import Semantic, SemanticEdit
from clickpaint.paint.diffusion.engines.base import Recipe, Scene
from clickpaint.paint.diffusion.engines.inverting import PREPARED, Inverting, blend_mask, ddpm_inverted, sampled, timesteps_of
from clickpaint.paint.diffusion.inversion import Followed, Listening, Only, Replaying
from clickpaint.paint.diffusion.word_alignment import changed
from clickpaint.paint.edit_options import WordEdit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickpaint.paint.diffusion.conditioning import Word


class Leditspp(Inverting):
    """After Brack et al. (2024), on the edit-friendly noise of the picture. Without edits, what only the prompt says is added, and what
    only the source says is taken away."""

    name = "ledits"

    def recipe(self, scene: Scene) -> Recipe:
        edits = _edits(scene)
        timesteps = timesteps_of(scene)
        texts = {f"edit {number}": edit.text for number, edit in enumerate(edits)}
        semantic = Semantic(
            [
                SemanticEdit(branch, edit.scale, edit.threshold, sum(len(word.places) for word in _words(scene, edit.text)))
                for (branch, edit) in zip(texts, edits, strict=True)
            ],
            scene.shape[1:],
        )  # fmt: skip
        count = len(scene.generators)
        if not timesteps:
            return Recipe(scene.known.expand(count, -1, -1, -1), timesteps, semantic, [])
        conditioning = scene.conditioning(len(timesteps), further=texts)
        trajectory = ddpm_inverted(scene, timesteps)
        listening = Listening(scene.scheduler, trajectory)
        start = trajectory.at(int(timesteps[0]))
        sampled(scene, listening, timesteps, start, scene.conditioning(len(timesteps), ""), Only("uncond"))
        mask = blend_mask(scene)
        held = [] if mask is None else [Followed(trajectory, mask)]
        return Recipe(
            start, timesteps, semantic, [*scene.beside(), semantic, *held], conditioning,
            scheduler=Replaying(scene.scheduler, listening.maps), prepared=PREPARED,
        )  # fmt: skip


def _edits(scene: Scene) -> Sequence[WordEdit]:
    options = scene.job.options
    if options.edit.edits:
        return options.edit.edits
    gone, new = changed(_words(scene, options.edit.source), _words(scene, options.prompt.positive))
    edits = [WordEdit(_text(words), scale) for words, scale in ((new, WordEdit.scale), (gone, -WordEdit.scale)) if words]
    if not edits:
        raise InvalidInput("There is nothing to edit.", "Say what the picture is to show, or give an edit.")
    return edits


def _words(scene: Scene, text: str) -> list[Word]:
    return words_of(scene.stable_diffusion, text, scene.words)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
