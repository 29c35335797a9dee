"""From a real picture back to noise, and how an edited one follows it down again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.paint.diffusion.loop import Moment, Part, noise

if TYPE_CHECKING:
    import torch


class Levels:
    """The arithmetic of DDIM's steps (Song et al., 2021) between the levels of a scheduler of diffusers.

    Args:
        ddim: a `DDIMScheduler`, set to its steps.
    """

    order = 1

    def __init__(self, ddim: Any) -> None:
        self.alphas_cumprod, self.config = ddim.alphas_cumprod, ddim.config
        self._last, self._stride = float(ddim.final_alpha_cumprod), ddim.config.num_train_timesteps // ddim.num_inference_steps

    def below(self, level: int) -> int:
        """The level that the step from `level` leads to; below 0 it is the picture itself."""
        return level - self._stride

    def left(self, level: int) -> float:
        """How much of the picture's variance is left at a level (the papers' cumulative alpha)."""
        return float(self.alphas_cumprod[level]) if level >= 0 else self._last

    def deviation(self, level: int, eta: float) -> float:
        """Standard deviation of the noise that the step from a level adds (equation 16)."""
        here, below = self.left(level), self.left(self.below(level))
        return eta * max((1 - below) / (1 - here) * (1 - here / below), 0.0) ** 0.5

    def split(self, prediction: torch.Tensor, sample: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(clean latents, noise) that the network sees in a sample of this level."""
        here = self.left(level)
        if self.config.prediction_type == "v_prediction":
            return here**0.5 * sample - (1 - here) ** 0.5 * prediction, here**0.5 * prediction + (1 - here) ** 0.5 * sample
        return (sample - (1 - here) ** 0.5 * prediction) / here**0.5, prediction

    def mean(self, prediction: torch.Tensor, sample: torch.Tensor, level: int, eta: float) -> torch.Tensor:
        """Where the step from a level leads, without the noise that it adds (equation 12)."""
        clean, seen = self.split(prediction, sample, level)
        below = self.left(self.below(level))
        return below**0.5 * clean + max(1 - below - self.deviation(level, eta) ** 2, 0.0) ** 0.5 * seen

    # what the loop and the parts ask of a scheduler

    init_noise_sigma = 1.0

    def scale_model_input(self, sample: torch.Tensor, timestep: Any) -> torch.Tensor:
        return sample

    def add_noise(self, original: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        here = self.left(int(timesteps[0]))
        return here**0.5 * original + (1 - here) ** 0.5 * noise


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A picture at all levels.

    Attributes:
        known: float32 [1, 4, h, w], the latents without noise.
        noised: for each level that is visited [1 or batch, 4, h, w].
        levels: their arithmetic.
    """

    known: torch.Tensor
    noised: Mapping[int, torch.Tensor]
    levels: Levels

    def at(self, level: int) -> torch.Tensor:
        return self.noised.get(level, self.known)

    def below(self, level: int) -> torch.Tensor:
        """Where the step from a level leads."""
        return self.at(self.levels.below(level))


def edit_friendly(
    known: torch.Tensor, levels: Levels, timesteps: Sequence[torch.Tensor], generators: Sequence[torch.Generator]
) -> Trajectory:
    """The picture with noise of its own at each level, after equation 6 of "An Edit Friendly DDPM Noise Space" (Huberman-Spiegelglas et
    al., 2024); the noise of the lowest level is drawn first."""
    noised = {}
    for timestep in sorted(timesteps, key=float):
        drawn = noise(generators, known.shape[1:], known.device)
        noised[int(timestep)] = levels.add_noise(known.expand_as(drawn), drawn, timestep.reshape(1))
    return Trajectory(known, noised, levels)


class Rising(Levels):
    """DDIM inversion: a step leads from the level below up to the timestep's. Used like a scheduler, for one sampling over rising
    timesteps, each as often as `looks` says.

    Args:
        looks: 1 takes the noise that is seen in the lower level's latents for that in the upper one's, as Song et al. (2021); each
            further one looks again at what came out, and is nearer to the step whose reverse is wanted (Pan et al., 2023).
    """

    def __init__(self, ddim: Any, looks: int = 1) -> None:
        super().__init__(ddim)
        self.noised: dict[int, torch.Tensor] = {}
        self._looks, self._looked = looks, 0

    def visited(self, timesteps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [timestep for timestep in sorted(timesteps, key=float) for _ in range(self._looks)]

    def step(self, prediction: torch.Tensor, timestep: Any, sample: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        level = int(timestep)
        if self._looked == 0:
            self._base = sample
        seen = self.split(prediction, sample, level if self._looked else self.below(level))[1]
        here, below = self.left(level), self.left(self.below(level))
        clean = (self._base - (1 - below) ** 0.5 * seen) / below**0.5
        self.noised[level] = here**0.5 * clean + (1 - here) ** 0.5 * seen
        self._looked = (self._looked + 1) % self._looks
        return (self.noised[level],)


class Listening(Levels):
    """Follows a trajectory down, whatever the network says, and keeps the noise that it would have taken: the noise maps of equation 5
    of Huberman-Spiegelglas et al. (2024). Used like a scheduler."""

    def __init__(self, ddim: Any, trajectory: Trajectory) -> None:
        super().__init__(ddim)
        self.maps: dict[int, torch.Tensor] = {}
        self._trajectory = trajectory

    def step(self, prediction: torch.Tensor, timestep: Any, sample: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        level = int(timestep)
        mean, reached = self.mean(prediction, sample, level, 1.0), self._trajectory.below(level).expand_as(sample)
        deviation = self.deviation(level, 1.0)
        self.maps[level] = (reached - mean) / deviation if deviation else mean.new_zeros(mean.shape)
        return (reached,)


class Replaying(Levels):
    """DDPM's steps with noise that is given. Used like a scheduler."""

    def __init__(self, ddim: Any, maps: Mapping[int, torch.Tensor]) -> None:
        super().__init__(ddim)
        self._maps = maps

    def step(self, prediction: torch.Tensor, timestep: Any, sample: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        level = int(timestep)
        return (self.mean(prediction, sample, level, 1.0) + self.deviation(level, 1.0) * self._maps[level],)


class Beside(Levels):
    """A batch whose second half follows a trajectory, and whose first half is led away from it by what its prompt changes.

    With the noise maps of the second half, a step of the first comes to where the trajectory goes plus the difference of the two means:
    the maps need not be known beforehand, and one prompt for both gives the trajectory back, bit for bit. Used like a scheduler.

    Args:
        eta: 1 for edit-friendly DDPM; 0 for DDIM, whose trajectory the step would miss by what is added here (Ju et al., 2024).
    """

    def __init__(self, ddim: Any, trajectory: Trajectory, eta: float) -> None:
        super().__init__(ddim)
        self._trajectory, self._eta = trajectory, eta

    def step(self, prediction: torch.Tensor, timestep: Any, sample: torch.Tensor, return_dict: bool = False) -> tuple[torch.Tensor]:
        import torch

        level = int(timestep)
        edited, followed = self.mean(prediction, sample, level, self._eta).chunk(2)
        reached = self._trajectory.below(level).expand_as(followed)
        return (torch.cat([reached + (edited - followed), reached]),)


@dataclass(frozen=True, eq=False)
class Followed(Part):
    """Holds what is not edited at its trajectory.

    Attributes:
        mask: float32 [1 or batch, 1, h, w] in 0..1; 0 keeps for good, between them the picture is let go late, as in `Known`.
        late: whether at the level that was left, as diffusers' DiffEdit does, and not at the one that is reached.
    """

    trajectory: Trajectory
    mask: torch.Tensor
    late: bool = False

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        level = int(moment.level)
        held = self.trajectory.at(level) if self.late else self.trajectory.below(level)
        keeps = (1 - self.mask) >= moment.share_after
        keeps = keeps.repeat(len(latents) // len(keeps), 1, 1, 1)
        return held.repeat(len(latents) // len(held), 1, 1, 1) * keeps + latents * ~keeps


@dataclass(frozen=True)
class Only:
    """No guidance: what the network answers for one branch."""

    branch: str

    @property
    def branches(self) -> tuple[str, ...]:
        return (self.branch,)

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return answers[self.branch]
