"""Low-rank changes: their gradients are those of diffusers' own example, and what is saved is what was learned."""

import re

import pytest
import torch

from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.checkpoint.opening import alias_report, open_checkpoint
from clickpaint.train import low_rank
from clickpaint.train.learners import learning
from clickpaint.train.prepared import Prepared
from clickpaint.train.run_types import TrainingTurns
from clickpaint.train.training_run import TrainingRun
from clickpaint.train.training_session import Session
from clickpaint.weights.device import Device
from tests.toys.tensor_source import TensorSource
from tests.train.toys import checkpoint_tensors, job, opened_checkpoint, opener, scene, turn


def asked(checkpoint, seed=1):
    """What a U-Net answers to fixed numbers."""
    generator = torch.Generator().manual_seed(seed)
    xl = checkpoint.kind.family == "sdxl"
    context = torch.randn(1, 77, 2048 if xl else 768, generator=generator)
    added = {"text_embeds": torch.randn(1, 1280, generator=generator), "time_ids": torch.full((1, 6), 64.0)} if xl else None
    latents = torch.randn(1, checkpoint.kind.in_channels, 8, 8, generator=generator)
    with torch.no_grad():
        return checkpoint.unet(latents, torch.tensor([300]), context, added_cond_kwargs=added).sample


def louder(tensors):
    """Numbers that make a change, where an adapter begins with none."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in tensors.values():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)


@pytest.mark.parametrize("algorithm", ["lora", "locon", "loha", "lokr", "dora"])
def test_a_saved_change_is_the_one_that_was_learned(algorithm, tmp_path):
    checkpoint = opened_checkpoint()
    training = job(tmp_path / "x.safetensors", algorithm=algorithm, rank=4, alpha=2.0, conv_rank=0 if algorithm == "lora" else 2)
    before = asked(checkpoint)
    with learning(training, checkpoint) as learner:
        assert torch.equal(asked(checkpoint), before)  # it begins as nothing
        louder(learner.tensors)
        learned = asked(checkpoint)
        saved = learner.result(learner.tensors, torch.float32)
        assert all(tensor.dtype == torch.float32 and tensor.requires_grad for tensor in learner.tensors.values())
    assert torch.equal(asked(checkpoint), before)
    assert not any("lora" in name or "base_layer" in name for name, _ in checkpoint.unet.named_modules())
    with applied(checkpoint, [(Lora.of(saved, "x"), 1.0)]) as notes:
        assert notes == []
        again = asked(checkpoint)
    assert (learned - before).abs().max() > 0.05
    assert (again - learned).abs().max() < 1e-4 * learned.abs().max()


def test_text_encoders_learn_as_well(tmp_path):
    checkpoint = opened_checkpoint()
    ids = torch.arange(77)[None]
    before = checkpoint.text_encoders[0].encode(ids)[0]
    with learning(job(tmp_path / "x.safetensors", text_learning_rate=1e-3, rank=4), checkpoint) as learner:
        louder(learner.tensors)
        learned = checkpoint.text_encoders[0].encode(ids)[0]
        saved = learner.result(learner.tensors, torch.float32)
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight" in saved
    with applied(checkpoint, [(Lora.of(saved, "x"), 1.0)]):
        again = checkpoint.text_encoders[0].encode(ids)[0]
    assert (learned - before).abs().max() > 0.05
    assert (again - learned).abs().max() < 1e-4 * learned.abs().max()


def test_a_lora_is_written_as_diffusers_and_kohya_have_it(tmp_path):
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.utils import convert_state_dict_to_kohya

    checkpoint = opened_checkpoint()
    with learning(job(tmp_path / "x.safetensors", rank=4, alpha=4.0), checkpoint) as learner:
        louder(learner.tensors)
        learned = asked(checkpoint)
        saved = learner.result(learner.tensors, torch.float32)
        theirs = {}
        for name, tensor in learner.tensors.items():
            _, layer, role = name.split(":")
            theirs[f"unet.{layer}.{role}.weight"] = tensor.detach()
    kohya = {key.replace("lora_unet.", "lora_unet_", 1): tensor for key, tensor in convert_state_dict_to_kohya(theirs).items()}
    assert saved.keys() == kohya.keys()
    assert all(torch.equal(saved[key].float(), kohya[key].float()) for key in saved)
    state, alphas = StableDiffusionPipeline.lora_state_dict(dict(saved))
    unet = UNet2DConditionModel.from_config(checkpoint.unet.config)
    unet.load_state_dict(checkpoint.unet.state_dict())
    unet.load_lora_adapter(state, network_alphas=alphas, prefix="unet")
    assert (asked(type("Bare", (), {"unet": unet, "kind": checkpoint.kind})) - learned).abs().max() < 1e-4 * learned.abs().max()


_RESNET = {"conv1": "in_layers_2", "conv2": "out_layers_3", "time_emb_proj": "emb_layers_1", "conv_shortcut": "skip_connection"}


def hosts_layer(name):
    """The layer of the original's that A1111 and Forge find behind kohya's name for one of Stable Diffusion 1, dots as underscores."""
    if name.startswith("lora_te_"):
        return f"cond_stage_model_transformer_{name.removeprefix('lora_te_')}"
    side, rest = re.fullmatch(r"lora_unet_(down_blocks|mid_block|up_blocks)_(.*)", name).groups()
    block, kind, number, layer = re.fullmatch(r"(?:(\d+)_)?(attentions|resnets|downsamplers|upsamplers)_(\d+)_(.*)", rest).groups()
    block, number, layer, attends = int(block or 0), int(number), _RESNET.get(layer, layer), kind == "attentions"
    place = {
        "down_blocks": f"input_blocks_{1 + 3 * block + number}_{int(attends)}_{layer}",
        "mid_block": f"middle_block_{1 if attends else 2 * number}_{layer}",
        "up_blocks": f"output_blocks_{3 * block + number}_{int(attends)}_{layer}",
    }[side]
    place = f"input_blocks_{3 + 3 * block}_0_op" if kind == "downsamplers" else place
    place = f"output_blocks_{2 + 3 * block}_{2 if block else 1}_conv" if kind == "upsamplers" else place
    return f"model_diffusion_model_{place}"


def merged_with(tensors, saved):
    """A checkpoint's tensors with a LoRA of kohya's layout in them, as those web UIs merge it."""
    merged = dict(tensors)
    keys = {key.removesuffix(".weight").replace(".", "_"): key for key in merged if key.endswith(".weight")}
    assert {name.partition(".")[2] for name in saved} == {"lora_down.weight", "lora_up.weight", "alpha"}
    for layer in {name.partition(".")[0] for name in saved}:
        down, up, alpha = (saved[f"{layer}.{part}"].float() for part in ("lora_down.weight", "lora_up.weight", "alpha"))
        key = keys[hosts_layer(layer)]
        change = (up.flatten(1) @ down.flatten(1)) * (alpha / len(down))
        merged[key] = merged[key].float() + change.reshape(merged[key].shape)
    return merged


def test_web_uis_find_the_layer_of_every_tensor_and_come_to_the_same_network(tmp_path):
    checkpoint, ids = opened_checkpoint(), torch.arange(77)[None]
    training = job(tmp_path / "x.safetensors", algorithm="locon", rank=4, alpha=2.0, conv_rank=2, text_learning_rate=1e-3)
    with learning(training, checkpoint) as learner:
        louder(learner.tensors)
        learned, words = asked(checkpoint), checkpoint.text_encoders[0].encode(ids)[0]
        saved = learner.result(learner.tensors, torch.float32)
    merged = merged_with(checkpoint_tensors(4, "sd1"), saved)
    made = open_checkpoint(TensorSource("merged", lambda: merged, prediction="epsilon"))
    assert (asked(made) - learned).abs().max() < 1e-4 * learned.abs().max()
    assert (made.text_encoders[0].encode(ids)[0] - words).abs().max() < 1e-4 * words.abs().max()


def test_layers_of_sdxl_have_the_originals_names(tmp_path):
    checkpoint = opened_checkpoint(family="sdxl")
    before = asked(checkpoint)
    with learning(job(tmp_path / "x.safetensors", rank=2, text_learning_rate=1e-4), checkpoint) as learner:
        louder(learner.tensors)
        learned = asked(checkpoint)
        saved = learner.result(learner.tensors, torch.float32)
    assert "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q.lora_down.weight" in saved
    assert {key.split("_text_model")[0] for key in saved if "_te" in key} == {"lora_te1", "lora_te2"}
    with applied(checkpoint, [(Lora.of(saved, "x"), 1.0)]) as notes:
        assert notes == []
        assert (asked(checkpoint) - learned).abs().max() < 1e-4 * learned.abs().max()
    assert (learned - before).abs().max() > 0.01


def example_loss(unet, scheduler, latents, noise, timesteps, context, gamma, area=None):
    """The step of diffusers' train_text_to_image_lora.py, line by line; with `area`, kohya's way of counting places by a mask."""
    import torch.nn.functional as F
    from diffusers.training_utils import compute_snr

    noisy = scheduler.add_noise(latents, noise, timesteps)
    target = noise if scheduler.config.prediction_type == "epsilon" else scheduler.get_velocity(latents, noise, timesteps)
    answer = unet(noisy, timesteps, context, return_dict=False)[0]
    if area is not None:
        error = F.mse_loss(answer.float(), target.float(), reduction="none") * area
        return torch.stack([own.sum() / (4 * there.sum()) for own, there in zip(error, area, strict=True)]).mean()
    if not gamma:
        return F.mse_loss(answer.float(), target.float(), reduction="mean")
    snr = compute_snr(scheduler, timesteps)
    weights = torch.stack([snr, gamma * torch.ones_like(timesteps)], dim=1).min(dim=1)[0]
    weights = weights / snr if scheduler.config.prediction_type == "epsilon" else weights / (snr + 1)
    loss = F.mse_loss(answer.float(), target.float(), reduction="none")
    return (loss.mean(dim=list(range(1, len(loss.shape)))) * weights).mean()


@pytest.mark.parametrize(
    ("prediction", "gamma", "masked"),
    [("epsilon", 0.0, False), ("epsilon", 0.0, True), ("epsilon", 5.0, False), ("v_prediction", 5.0, False)],
)
def test_gradients_are_those_of_diffusers_own_step(prediction, gamma, masked, tmp_path):
    from diffusers import DDPMScheduler

    checkpoint = opened_checkpoint(prediction=prediction)
    training = job(tmp_path / "x.safetensors", min_snr_gamma=gamma, rank=4)
    batch = TrainingRun(training, TrainingTurns(lambda epoch: []), Device())
    example = scene((40, 160, 60))
    with learning(training, checkpoint) as learner:
        louder(learner.tensors)
        session = Session(batch, next(opened_now(checkpoint)), learner, "")
        prepared = session.preparation.prepared([turn(scene((40, 160, 60))), turn(scene((160, 60, 40)))])
        masks = prepared.masks if masked else None
        plain = Prepared(prepared.mean, prepared.deviation, masks, prepared.captions, prepared.sizes)
        session.loss(plain).backward()
        ours = {name: tensor.grad.clone() for name, tensor in learner.tensors.items()}
        for tensor in learner.tensors.values():
            tensor.grad = None
        generator = torch.Generator().manual_seed(training.settings.seed)
        latents = (plain.mean + plain.deviation * torch.randn(plain.mean.shape, generator=generator)) * checkpoint.vae.config.scaling_factor
        noise = torch.randn(plain.mean.shape, generator=generator)
        timesteps = torch.randint(0, 1000, (2,), generator=generator)
        scheduler = DDPMScheduler(
            num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction
        )
        words = checkpoint.text_encoders[0].tokenizer([example.caption] * 2, padding="max_length", max_length=77, return_tensors="pt")
        context = checkpoint.text_encoders[0].model(words.input_ids)[0]
        area = None if masks is None else torch.where(masks > 0, 1.0, training.settings.background_weight)  # the object fills whole cells
        example_loss(checkpoint.unet, scheduler, latents, noise, timesteps, context, gamma, area).backward()
        largest = max(float(tensor.grad.abs().max()) for tensor in learner.tensors.values())
        for name, tensor in learner.tensors.items():
            assert (ours[name] - tensor.grad).abs().max() <= 1e-4 * max(float(tensor.grad.abs().max()), 1e-3 * largest), name
        assert largest > 0


def opened_now(checkpoint):
    with opener(checkpoint)() as own:
        yield own


def test_no_weight_of_the_checkpoint_is_there_twice(tmp_path):
    checkpoint = opened_checkpoint()
    tensors = checkpoint_tensors(4, "sd1")

    def weighed():
        seen = {}
        for module in checkpoint.modules():
            for weight in module.parameters():
                seen[weight.untyped_storage().data_ptr()] = weight.untyped_storage().nbytes()
        return sum(seen.values())

    before = weighed()
    with learning(job(tmp_path / "x.safetensors", text_learning_rate=1e-4, rank=4), checkpoint) as learner:
        own = sum(tensor.numel() * 4 for tensor in learner.tensors.values())
        assert weighed() - before == own > 0
        rows = alias_report(checkpoint, tensors)
        assert sum(row.bytes - row.aliased_bytes for row in rows) == own
        assert not any(weight.requires_grad for name, weight in checkpoint.unet.named_parameters() if "lora" not in name)
    assert weighed() == before
    assert all(row.aliased_bytes == row.bytes for row in alias_report(checkpoint, tensors))


def test_text_is_read_as_the_sampler_reads_it():
    from clickpaint.paint.diffusion.conditioning import encode
    from clickpaint.train.captions import encode_captions

    checkpoint = opened_checkpoint(family="sdxl")
    caption = "sks " + "a red square before something green " * 15
    ours = encode_captions(checkpoint, [caption], tokens=150)
    theirs = encode(checkpoint, caption, size=(64, 64), steps=1).cond[0][1]
    assert ours.context.shape[1] == 154
    assert torch.allclose(ours.context, theirs.context, atol=1e-4)
    assert ours.pooled is not None and torch.allclose(ours.pooled, theirs.added["text_embeds"], atol=1e-5)


def test_without_peft_it_is_said_what_to_do(monkeypatch):
    import importlib.util

    from clickpaint.errors import ModelMissing

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "peft" else there(name, *more))
    with pytest.raises(ModelMissing, match=r"peft is not installed\. Install it"):
        low_rank.require_peft()
