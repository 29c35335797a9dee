"""Trainings: they learn what the masks show, stop and go on to the same file, and end with the reason where they cannot."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.adapters.textual_inversion import read_embedding
from clickpaint.paint.checkpoint.opening import open_checkpoint
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.diffusion.sampling import text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.progress import Progress
from clickpaint.train import run_folder
from clickpaint.train.estimate import estimate
from clickpaint.train.run_types import TrainingDiverged, TrainingTurns
from clickpaint.train.training_run import TrainingRun
from clickpaint.train.training_session import Session
from clickpaint.weights.device import Device
from tests.train.toys import PROMPT, ToyExample, checkpoint_tensors, job, object_mask, opened_checkpoint, opener, scene, trained, turn

ROOT = Path(__file__).resolve().parents[2]


def painted(checkpoint, path=None):
    """What a prompt comes to, float [64, 64, 3], with a LoRA or without."""
    options = grouped(prompt=PROMPT, steps=8, cfg_scale=1.0, sampler="DDIM")
    with applied(checkpoint, [(Lora.read(path), 1.0)] if path else []):
        return text_to_image(checkpoint, options, (64, 64), seed=3)[0].pixels.astype(float)


def errors(checkpoint, example, path=None):
    """Mean squared error of what the network says of `example` at eight levels of noise: (of the object, of what is around it)."""
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    timesteps = torch.arange(50, 1000, 120)
    pixels = torch.from_numpy(example.pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    text = checkpoint.text_encoders[0]
    words = text.tokenizer([example.caption] * len(timesteps), padding="max_length", max_length=77, return_tensors="pt")
    with torch.no_grad(), applied(checkpoint, [(Lora.read(path), 1.0)] if path else []):
        latents = checkpoint.vae.encode(pixels).latent_dist.mean * checkpoint.vae.config.scaling_factor
        noise = torch.randn((len(timesteps), *latents.shape[1:]), generator=torch.Generator().manual_seed(0))
        noisy = scheduler.add_noise(latents.expand_as(noise), noise, timesteps)
        if checkpoint.unet.config.in_channels == 9:  # all of it is to be painted: the mask, and the picture that is left
            noisy = torch.cat([noisy, torch.ones_like(noisy[:, :1]), torch.zeros_like(noisy)], dim=1)
        wrong = (checkpoint.unet(noisy, timesteps, text.model(words.input_ids)[0], return_dict=False)[0] - noise) ** 2
    cell = example.pixels.shape[0] // latents.shape[2]
    inside = torch.from_numpy(object_mask()[::cell, ::cell]).expand_as(wrong)  # the object fills whole cells
    return float(wrong[inside].mean()), float(wrong[~inside].mean())


@pytest.mark.parametrize(("channels", "keep"), [(4, 0.0), (9, 0.0), (4, 2.0)])
def test_the_object_is_learned_and_the_background_is_not(channels, keep, tmp_path):
    checkpoint, inside = opened_checkpoint(channels), object_mask()
    example = scene((40, 160, 60))
    before, wrong = painted(checkpoint), errors(checkpoint, example)
    settings = {"masked_loss": True, "background_weight": 0.0, "background_keep": keep}
    training = job(tmp_path / "x.safetensors", steps=36, learning_rate=9e-3, rank=16, schedule="cosine", **settings)
    trained(training, checkpoint, *[example] * (2 if keep else 1))
    after = painted(checkpoint, training.output)
    unlike = [np.abs(picture - example.pixels)[inside].mean() for picture in (before, after)]
    assert unlike[1] < 0.88 * unlike[0]
    learned, around = (now / then for now, then in zip(errors(checkpoint, example, training.output), wrong, strict=True))
    assert learned < 0.4
    if keep:
        assert np.abs(after - before)[~inside].mean() < 8  # 15 where nothing keeps what is around the object
    else:
        assert around > 0.7  # 0.3 without the mask: what is around the object is learned as well


def test_an_example_that_is_seen_again_and_again_is_learned(tmp_path):
    losses = trained(
        job(tmp_path / "x.safetensors", steps=30, masked_loss=False, rank=16), opened_checkpoint(), *[scene((40, 160, 60))] * 3
    )
    assert np.mean(losses[-8:]) < 0.1 and np.mean(losses[:3]) > 0.12


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be divided here")
def test_a_killed_training_goes_on_to_the_same_file(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "extension"), str(ROOT)])}
    command = [sys.executable, "-m", "tests.train.killed", str(tmp_path), "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert "DIFFERENT" not in done.stdout and done.stdout.count("same") == 3
    assert "parts 0" in done.stdout and "kills 0" not in done.stdout


def test_a_stopped_and_a_pausing_training_come_to_the_same_file(tmp_path):
    checkpoint = opened_checkpoint()
    turns = TrainingTurns(lambda epoch: [[turn(scene((40, 160, 60)))], [turn(scene((160, 60, 40)))]], "toy")

    def run(name, pause=lambda: False, progress=None):
        training = job(tmp_path / name / "x.safetensors", steps=6, rank=2, optimizer="prodigy", learning_rate=1.0, accumulation=2)
        done = TrainingRun(training, turns, Device()).run(opener(checkpoint), progress or Progress(), pause)
        return done, training

    assert run("whole")[0] == "done"
    outcomes = []
    while not outcomes or outcomes[-1] == "paused":
        outcomes.append(run("pausing", lambda: True)[0])
    assert outcomes == ["paused"] * 5 + ["done"]
    heard = []

    def interrupted():
        heard.append(True)
        return len(heard) > 4

    with pytest.raises(Interrupted):
        run("stopped", progress=Progress(None, interrupted))
    state = run_folder.read_state(tmp_path / "stopped" / "x_training")
    assert state is not None and 0 < state["step"] < 6
    run("stopped")
    files = [(tmp_path / name / "x.safetensors").read_bytes() for name in ("whole", "pausing", "stopped")]
    assert files[0] == files[1] == files[2]
    other = job(tmp_path / "whole" / "x.safetensors", steps=6, rank=4)
    with pytest.raises(InvalidInput, match="other settings"):
        TrainingRun(other, turns, Device()).resumable()
    with pytest.raises(InvalidInput, match="another data set"):
        TrainingRun(run("whole")[1], TrainingTurns(turns.batches, "others"), Device()).resumable()


def test_numbers_that_are_not_finite_stop_it_and_keep_the_last_state(tmp_path):
    checkpoint = opened_checkpoint()
    training = job(tmp_path / "x.safetensors", steps=40, optimizer="sgd", learning_rate=90.0, gradient_limit=0.0, save_every=1)
    with pytest.raises(TrainingDiverged, match=r"In step \d+ the .*The state of step \d+ is kept"):
        trained(training, checkpoint, scene((40, 160, 60)))
    state = run_folder.read_state(training.folder)
    assert state is not None and state["step"] > 0
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state["tensors"].values())
    assert not training.output.exists()


def test_a_word_is_learned(tmp_path):
    checkpoint = opened_checkpoint()
    training = job(tmp_path / "sks.safetensors", "embedding", steps=3, vectors=2, initial_word="ball", save_every=1)
    rows = checkpoint.text_encoders[0].token_embedding.weight.clone()
    trained(training, checkpoint, scene((40, 160, 60)), ToyExample(scene((9, 9, 9)).pixels, caption="in a field"))
    embedding = read_embedding(training.output)
    assert embedding.name == "sks" and embedding.vectors[768].shape == (2, 768)
    ids = checkpoint.text_encoders[0].tokenizer("ball", add_special_tokens=False)["input_ids"]
    change = (embedding.vectors[768] - rows[ids[0]]).abs().max()
    assert 0.001 < float(change) < 0.1  # it began as the word, and went on from there
    assert torch.equal(checkpoint.text_encoders[0].token_embedding.weight, rows)


@pytest.mark.parametrize("kind", ["finetune", "instruct", "controlnet"])
def test_whole_networks_learn_and_open_again(kind, tmp_path):
    checkpoint, tensors = opened_checkpoint(), checkpoint_tensors(4, "sd1")
    key = "model.diffusion_model.middle_block.1.proj_out.weight"
    before = tensors[key].clone()
    example = scene((40, 160, 60))
    pair = ToyExample(example.pixels, None, "make it red", example.pixels[:, ::-1].copy(), scene((9, 9, 9)).pixels)
    more = {"sample_every": 2, "sample_steps": 2, "gradient_checkpointing": "on", "learning_rate": 1e-2 if kind == "controlnet" else 1e-3}
    if kind != "controlnet":
        more["ema_decay"] = 1.0 if kind == "finetune" else 0.5
    training = job(tmp_path / "x.safetensors", kind, steps=2, **more)
    run = TrainingRun(training, TrainingTurns(lambda epoch: [[turn(pair)]], "toy"), Device())
    assert run.run(opener(checkpoint, lambda: tensors)) == "done"
    assert torch.equal(tensors[key], before) and checkpoint.unet.config["in_channels"] == 4
    samples = [np.asarray(Image.open(training.folder / run_folder.SAMPLES / f"{step:06}_1.png")) for step in (0, 2)]
    assert samples[0].shape == (64, 64, 3) and np.array_equal(*samples) == (kind == "finetune")
    if kind == "controlnet":
        network = load_controlnet(training.output, checkpoint)
        assert any(bool(weight.any()) for weight in network.controlnet_down_blocks.parameters())  # which begin as nothing
        return
    made = open_checkpoint(FileSource(training.output))
    assert made.kind.in_channels == (8 if kind == "instruct" else 4)
    changed = made.unet.state_dict()["mid_block.attentions.0.proj_out.weight"]
    change = float((changed - before).abs().max())
    assert change == 0 if kind == "finetune" else 0 < change < 0.01  # an average that nothing goes into stays where it began


def test_pictures_of_the_class_count_beside_the_objects(tmp_path, monkeypatch):
    monkeypatch.setattr(Session, "loss", lambda self, batch, whole=False: torch.tensor(2.0 if whole else 1.0, requires_grad=True))
    training = job(tmp_path / "x.safetensors", "dreambooth", steps=2, prior_weight=3.0)
    plan = lambda epoch: [[turn(scene((40, 160, 60)))]]  # noqa: E731
    reports = []
    TrainingRun(training, TrainingTurns(plan, "toy", plan), Device(), None, reports.append).run(opener(opened_checkpoint()))
    assert [report.loss for report in reports] == [7.0, 7.0]


def test_what_is_computed_twice_learns_the_same_the_text_encoder_too(tmp_path):
    def learned(checkpointing):
        lora = job(
            tmp_path / f"{checkpointing}.safetensors", steps=2, rank=2, text_learning_rate=1e-2, gradient_checkpointing=checkpointing
        )
        trained(lora, opened_checkpoint(), scene((40, 160, 60)))
        return load_file(lora.output)

    once, twice = learned("off"), learned("on")
    words = [name for name in once if name.startswith("lora_te_") and name.endswith("lora_up.weight")]
    assert words and all(bool(once[name].any()) for name in words)  # which begin as nothing
    assert once.keys() == twice.keys() and all(torch.equal(once[name], twice[name]) for name in once)


def test_memory_is_counted_where_transformers_makes_masks_of_tensors(monkeypatch, tmp_path):
    checkpoint = opened_checkpoint()
    model = checkpoint.text_encoders[0].model
    forward = model.forward

    def older(*args, **kwargs):  # as transformers 4.30 begins
        torch.full((77, 77), torch.tensor(torch.finfo(torch.float32).min, device="meta"), device="meta")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", older)
    counted = estimate(job(tmp_path / "x.safetensors", text_learning_rate=1e-4), checkpoint, 64, torch.float32)
    assert 0 < counted[True].kept < counted[False].kept
