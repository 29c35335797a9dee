"""A training's steps on one opened checkpoint: everything that it goes on from is in its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clickpaint.errors import Interrupted, Sentence
from clickpaint.progress import Progress
from clickpaint.train import run_folder
from clickpaint.train.captions import size_numbers
from clickpaint.train.holes import make_hole
from clickpaint.train.learners import Learner
from clickpaint.train.objective import counting_area, draw_noise, level_weights, loss_of, noise_scheduler, noised
from clickpaint.train.optimizers import make_optimizer, rate_factor
from clickpaint.train.prepared import Preparation, Prepared, Turn
from clickpaint.train.result_file import write_result
from clickpaint.train.run_types import OpenedForTraining, StepReport, TrainingDiverged
from clickpaint.train.training_modes import computed_in, gradient_scaler, tensor_board, thrifty_networks
from clickpaint.train.training_samples import COMPARING, paint_samples, samples_missing
from clickpaint.train.training_settings import WHOLE

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.train.training_run import TrainingRun


@dataclass
class _Place:
    """Where a training is: everything in it is kept."""

    step: int
    epoch: int
    position: int
    losses: list[float]
    rates: list[float]


class Session:
    """A training on one opened checkpoint."""

    def __init__(self, run: TrainingRun, own: OpenedForTraining, learner: Learner, known_as: str) -> None:
        import torch

        self.known_as = known_as
        self.run_, self.own, self.learner, self.checkpoint = run, own, learner, own.checkpoint
        self.job, self.settings = run.job, run.job.settings
        self.inpainting = self.checkpoint.kind.in_channels == 9
        instructed = self.job.kind == "instruct"
        self.preparation = Preparation(
            self.checkpoint, run.cache, pictures=self.inpainting, control_maps=self.job.kind == "controlnet", before=instructed
        )
        self.scheduler = noise_scheduler(self.checkpoint.scheduler_config)
        self.scheduler.alphas_cumprod = self.scheduler.alphas_cumprod.to(self.checkpoint.device)
        self.generator = torch.Generator("cpu").manual_seed(self.settings.seed)
        groups = learner.groups()
        self.rates = [group["lr"] for group in groups]
        self.optimizer = make_optimizer(self.settings, groups)
        self.dtype = computed_in(run.device, self.checkpoint)
        self.scaler = gradient_scaler(run.device, self.dtype)
        self.averaged: dict[str, Tensor] | None = None
        if self.settings.ema_decay and self.job.kind in WHOLE:
            self.averaged = {name: tensor.detach().clone() for name, tensor in learner.tensors.items()}
        self.at = _Place(0, 0, 0, [], [])
        self.saved = -1
        self._answered: Any = True  # whether with finite numbers; read only where it matters, so that a card need not be waited for
        state = run_folder.read_state(self.job.folder)
        if state is not None:
            self._restore(state)

    def run(self, progress: Progress, pause: Callable[[], bool]) -> Literal["done", "paused"]:
        thrifty = self.settings.gradient_checkpointing == "on"
        with thrifty_networks(self.learner.modules(), thrifty), ExitStack() as stack:
            board = stack.enter_context(tensor_board(self.job.folder, self.at.step))
            if self.at.step == 0 and self.saved < 0 and self.run_.on_trial is not None:
                self._tell(progress)
                self.run_.on_trial(self._trial())
            while True:
                try:
                    self._tell(progress)
                    self._sample(progress)
                    if self.at.step >= self.settings.steps:
                        break
                    self.step()
                except Interrupted:
                    self._save()
                    raise
                report = StepReport(self.at.step, self.at.losses[-1], self.at.rates[-1])
                board(report)
                self.run_._on_step(report)
                if self.at.step % self.settings.save_every == 0 and self.at.step < self.settings.steps:
                    self._save()
                if self.at.step < self.settings.steps and pause():
                    self._save()
                    return "paused"
            self._save()
            self._write(self.job.output)
            return "done"

    def _tell(self, progress: Progress) -> None:
        progress.report(self.at.step / self.settings.steps, "Training", done=self.at.step, total=self.settings.steps, unit="step")

    def _trial(self) -> float:
        """Seconds that a step takes, of one that changes nothing: where memory does not suffice, it shows here and not after an hour."""
        import torch

        before, seconds = self.generator.get_state(), 0.0
        largest = max(self.run_.plan(0), key=lambda turns: len(turns) * np.prod(turns[0].sizes["target"]))
        for _ in range(1 if self.run_.device.kind == "cpu" else 2):  # a card is slow at first
            began = time.monotonic()
            self.scaler.scale(self.loss(self.preparation.prepared(largest))).backward()
            if self.run_.device.kind == "cuda":
                torch.cuda.synchronize(self.run_.device.torch)
            seconds = time.monotonic() - began
        self.optimizer.zero_grad(set_to_none=True)
        self.generator.set_state(before)
        return seconds * self.settings.accumulation * (1 if self.run_.data.class_batches is None else 2)

    def step(self) -> None:
        """Change the weights once."""
        import torch

        settings, factor = self.settings, rate_factor(self.settings, self.at.step)
        epoch, position = self.at.epoch, self.at.position
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for _ in range(settings.accumulation):
            turns, epoch, position = self._next(epoch, position)
            loss = self.loss(self.preparation.prepared(turns))
            if self.run_.data.class_batches is not None:
                own = self.run_.plan(epoch, of_class=True)
                loss = loss + settings.prior_weight * self.loss(
                    self.preparation.prepared(own[position % len(own)][: len(turns)]), whole=True
                )
            value = float(loss.detach())
            if not np.isfinite(value):
                raise self._diverged(Sentence("the loss is not finite") if self._answered else Sentence("the network answers with NaN"))
            total += value / settings.accumulation
            self.scaler.scale(loss / settings.accumulation).backward()
        self.scaler.unscale_(self.optimizer)
        length = torch.nn.utils.clip_grad_norm_([*self.learner.tensors.values()], settings.gradient_limit or float("inf"))
        if not self.scaler.is_enabled() and not torch.isfinite(length):  # a scaler leaves such steps out by itself
            raise self._diverged(Sentence("the gradients are not finite"))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.averaged is not None:
            for name, tensor in self.learner.tensors.items():
                self.averaged[name].lerp_(tensor.detach(), 1 - settings.ema_decay)
        self.at.losses.append(total)
        self.at.rates.append(self.rates[0] * factor)
        self.at.step, self.at.epoch, self.at.position = self.at.step + 1, epoch, position

    def loss(self, batch: Prepared, whole: bool = False) -> Tensor:
        """Of one batch, with noise by lot.

        Args:
            batch: what is learned.
            whole: whether masks do not count, as for pictures of the object's class.
        """
        import torch

        settings, device, scale = self.settings, self.checkpoint.device, self.preparation.scale
        shape = tuple(batch.mean.shape)
        latents = (batch.mean + batch.deviation * torch.randn(shape, generator=self.generator)) * scale
        noise = draw_noise(shape, self.generator, settings.noise_offset)
        timesteps = torch.randint(0, self.scheduler.config.num_train_timesteps, shape[:1], generator=self.generator)
        beside = self._beside(batch)
        maps = self._maps(batch)
        made = noised(self.scheduler, latents.to(device), noise.to(device), timesteps.to(device))
        with self._computing():
            words = self.learner.captions(batch.captions, self.preparation)
            context, pooled = words.context.to(device), None if words.pooled is None else words.pooled.to(device)
            added = None
            if self.checkpoint.kind.family.startswith("sdxl"):
                assert pooled is not None
                added = {"text_embeds": self._typed(pooled), "time_ids": size_numbers(batch.sizes).to(device)}
            inputs = made.latents if beside is None else torch.cat([made.latents, beside.to(device)], dim=1)
            asked = self._typed(inputs), made.timesteps, self._typed(context), added
            answer = self.learner.answer(*asked, maps=None if maps is None else maps.to(device))
            self._answered = torch.isfinite(answer.detach()).all() & self._answered
            masks = None if whole or batch.masks is None else batch.masks.to(device)
            area = counting_area(masks, settings.background_weight) if settings.masked_loss else None
            loss = loss_of(answer, made.target, area, level_weights(self.scheduler, made.timesteps, settings.min_snr_gamma))
            if settings.background_keep and masks is not None:
                with torch.no_grad(), self.learner.without():
                    before = self.learner.answer(*asked[:2], self._typed(self._plain(batch)), added)
                loss = loss + settings.background_keep * loss_of(answer, before, 1 - masks)
        return loss

    def _plain(self, batch: Prepared) -> Tensor:
        """The captions' context without what is learned."""
        words = self.preparation.fixed_captions if not self.learner.learns_words else self._unlearned
        return words(batch.captions, self.settings.caption_tokens, self.settings.clip_skip).context.to(self.checkpoint.device)

    def _unlearned(self, captions: Sequence[str], tokens: int, clip_skip: int) -> Any:
        from clickpaint.train.captions import encode_captions

        return encode_captions(self.checkpoint, captions, tokens, clip_skip)

    def _typed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.checkpoint.dtype)

    def _beside(self, batch: Prepared) -> Tensor | None:
        """What the network takes beside the noised latents, [n, c, h, w]; None for nothing."""
        import torch

        if self.job.kind == "instruct":
            assert batch.before is not None
            before = batch.before.clone()  # not scaled, as it was trained
            for row in range(len(before)):  # to be guided by the picture, it must also have been missing
                if float(torch.rand((), generator=self.generator)) < self.settings.caption_dropout:
                    before[row] = 0
            return before
        if not self.inpainting:
            return None
        rows = []
        for pixels, mask in zip(batch.pictures, batch.pixel_masks, strict=True):
            height, width = pixels.shape[:2]
            hole = make_hole(mask, (width, height), self.settings.inpaint_masks, self.generator)
            kept = np.where(hole[..., None], np.float32(0), pixels.astype(np.float32) / np.float32(127.5) - 1)
            cells = torch.from_numpy(hole.reshape(height // 8, 8, width // 8, 8).any((1, 3)).astype(np.float32))
            with torch.no_grad():
                rows.append(torch.cat([cells[None], self.preparation.coder.encode(kept)[0].cpu()]))
        return torch.stack(rows)

    def _maps(self, batch: Prepared) -> Tensor | None:
        import torch

        if not batch.control_maps:
            return None
        return torch.stack([torch.from_numpy(np.ascontiguousarray(drawn)).permute(2, 0, 1).float() / 255 for drawn in batch.control_maps])

    def _computing(self) -> AbstractContextManager[Any]:
        return replace(self.run_.device, dtype=str(self.dtype).removeprefix("torch.")).autocast()

    def _next(self, epoch: int, position: int) -> tuple[Sequence[Turn], int, int]:
        """The batch there, and the place after it."""
        plan = self.run_.plan(epoch)
        turns = plan[position]
        return (turns, epoch, position + 1) if position + 1 < len(plan) else (turns, epoch + 1, 0)

    def _sample(self, progress: Progress) -> None:
        if samples_missing(self.job, self.at.step):
            device = self.run_.device if self.checkpoint.dtype.itemsize == 4 else replace(self.run_.device, dtype="float32")
            with self._as_saved():
                paint_samples(self.job, self.learner, device, self.at.step, self._compared(), progress)

    @contextmanager
    def _as_saved(self) -> Iterator[None]:
        """Within this block the moving average stands where it will be saved instead of what is learned."""
        self._swap_average()
        try:
            yield
        finally:
            self._swap_average()

    def _swap_average(self) -> None:
        averaged = self.averaged or {}
        for name in averaged:
            tensor = self.learner.tensors[name]
            tensor.data, averaged[name] = averaged[name], tensor.data

    def _compared(self) -> list[Turn]:
        """The turns that samples are compared with, always the same ones."""
        if self.job.kind not in COMPARING:
            return []
        turns = {turn.key: turn for batch in self.run_.data.batches(0) for turn in batch}
        return [turns[key] for key in sorted(turns)]

    def _state(self) -> dict[str, Any]:
        import torch

        at = self.at
        averaged = None if self.averaged is None else {name: tensor.cpu() for name, tensor in self.averaged.items()}
        return {
            "checkpoint": self.known_as, "settings": self.job.identity(), "data set": self.run_.data.identity,
            "step": at.step, "epoch": at.epoch, "position": at.position, "generator": self.generator.get_state(),
            "losses": torch.tensor(at.losses, dtype=torch.float64), "rates": torch.tensor(at.rates, dtype=torch.float64),
            "tensors": {name: tensor.detach().cpu() for name, tensor in self.learner.tensors.items()},
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(), "averaged": averaged,
        }  # fmt: skip

    def _save(self) -> None:
        if self.saved == self.at.step:
            return
        run_folder.write_curve(self.job.folder, self.at.losses, self.at.rates)  # first: whoever goes on from a state finds its curve
        run_folder.write_state(self.job.folder, self._state())
        self.saved = self.at.step

    def _restore(self, state: Mapping[str, Any]) -> None:
        import torch

        self.run_.check_same(state, self.known_as)
        with torch.no_grad():
            for name, tensor in self.learner.tensors.items():
                tensor.copy_(state["tensors"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        if self.averaged is not None and state["averaged"] is not None:
            self.averaged = {name: tensor.to(self.averaged[name]) for name, tensor in state["averaged"].items()}
        self.generator.set_state(state["generator"])
        self.at = _Place(state["step"], state["epoch"], state["position"], state["losses"].tolist(), state["rates"].tolist())
        self.saved = self.at.step

    def _write(self, target: Path) -> None:
        import torch

        tensors = self.averaged or {name: tensor.detach() for name, tensor in self.learner.tensors.items()}
        result = self.learner.result(tensors, getattr(torch, self.settings.result_type))
        write_result(target, self.job, self.own, result, self.run_.data, self.at.step)

    def _diverged(self, reason: Sentence) -> TrainingDiverged:
        kept = max(self.saved, 0)
        return TrainingDiverged(
            "In step {step} {reason} ({dtype}).",
            "The state of step {kept} is kept; go on from there with a smaller learning rate or in full precision.",
            step=self.at.step + 1, reason=reason, dtype=str(self.dtype).removeprefix("torch."), kept=kept,
        )  # fmt: skip
