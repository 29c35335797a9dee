"""Prompt-to-Prompt: the same picture from other words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import Pairs, chunk_count, words_of
from clickpaint.paint.diffusion.cross_attention import Exchange
from clickpaint.paint.diffusion.cross_attention import PromptToPrompt as Influence
from clickpaint.paint.diffusion.engines.base import Recipe, Scene
from clickpaint.paint.diffusion.engines.inpaint import Inpaint
from clickpaint.paint.diffusion.engines.inverting import PREPARED, Inverting, blend_mask, ddim_inverted, ddpm_inverted, timesteps_of
from clickpaint.paint.diffusion.inversion import Beside, Followed
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.word_alignment import aligned, changed, places_of, strengths

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.diffusion.loop import Part
    from clickpaint.paint.paint_job import PaintOptions

_LOOKS = 2
"""Of DDIM's inversion at each level."""


class PromptToPrompt(Inverting):
    """After Hertz et al. (2022): what the source prompt makes is painted beside it, and lends it its attention. A picture that was opened
    comes from its inversion; one that was painted here, from the seed that it was painted with."""

    name = "p2p"

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        if options.edit.inversion == "seed":
            sampler = options.sampling.sampler
            plain = replace(options, sampling=replace(options.sampling, sampler=""))
            super().check(kind, plain)
            samplers.resolve(sampler)
        else:
            super().check(kind, options)

    def recipe(self, scene: Scene) -> Recipe:
        options = scene.job.options
        painted_here = options.edit.inversion == "seed"
        if painted_here and not options.edit.weights and options.prompt.positive == options.edit.source:
            return Inpaint().recipe(scene)  # which nothing changes
        recipe = self._painted_here(scene) if painted_here else self._inverted(scene)
        count = len(scene.generators)
        texts, places = self._texts(scene)
        steps = len({float(t) for t in recipe.timesteps})
        first, second = (scene.conditioning(steps, text) for text in texts)
        conditioning = Pairs(first.cond, first.uncond, first.steps, second=second.cond, count=count)
        return replace(recipe, parts=[self._influence(scene, texts, places), *recipe.parts], conditioning=conditioning)

    def _painted_here(self, scene: Scene) -> Recipe:
        seeds = [generator.initial_seed() for generator in scene.generators]
        twice = [generators(seed, 1)[0] for seed in seeds * 2]
        return replace(Inpaint().recipe(replace(scene, generators=twice)), generators=twice)

    def _inverted(self, scene: Scene) -> Recipe:
        edit, count = scene.job.options.edit, len(scene.generators)
        timesteps, guidance = timesteps_of(scene), scene.model.guidance(scene.job.options)
        if not timesteps:
            return Recipe(scene.known.expand(2 * count, -1, -1, -1), timesteps, guidance, [])
        by_noise = edit.inversion == "ddpm"
        trajectory = ddpm_inverted(scene, timesteps) if by_noise else ddim_inverted(scene, timesteps, edit.source, _LOOKS)
        start = trajectory.at(int(timesteps[0])).expand(count, -1, -1, -1)
        mask = blend_mask(scene)
        parts: list[Part] = [*scene.beside(), *([] if mask is None else [Followed(trajectory, mask)])]
        scheduler = Beside(scene.scheduler, trajectory, eta=float(by_noise))
        prepared = Recipe.prepared if by_noise else PREPARED
        return Recipe(start.repeat(2, 1, 1, 1), timesteps, guidance, parts, scheduler=scheduler, prepared=prepared)

    @staticmethod
    def _texts(scene: Scene) -> tuple[tuple[str, str], int]:
        """((the prompt, the source), places of their contexts), of which the shorter is filled up to the length of the longer."""
        options = scene.job.options
        texts = options.prompt.positive or options.edit.source, options.edit.source
        counts = [chunk_count(scene.stable_diffusion, text, scene.words) for text in texts]
        longest = max(counts)
        ends = ["" if count == longest else " BREAK" * (1 + longest - count) for count in counts]  # the first ends the text's own chunk
        first, second = (text + end for text, end in zip(texts, ends, strict=True))
        return (first, second), 77 * longest

    @staticmethod
    def _influence(scene: Scene, texts: tuple[str, str], places: int) -> Influence:
        import torch

        edit = scene.job.options.edit
        target, source = (words_of(scene.stable_diffusion, text, scene.words) for text in texts)
        gone, new = changed(source, target)
        weights = [
            (tuple(word.text for word in words_of(scene.stable_diffusion, text, scene.words)), factor) for text, factor in edit.weights
        ]
        mapper, shares = aligned(source, target, places)
        factors = strengths(target, weights, places)
        heavier = [place for words, factor in weights if factor != 1 for place in places_of(target, words)]

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).to(scene.device)

        exchange = Exchange(
            tensor(mapper), tensor(shares), tensor(factors), edit.cross_steps, edit.self_steps,
            [place for word in gone for place in word.places],
            [*(place for word in new for place in word.places), *heavier], edit.local,
        )  # fmt: skip
        return Influence(exchange, scene.shape[1:])
