"""Systems with files of their own: diffusers' folders at toy size, through the studio and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from clickpaint.app.main import main
from clickpaint.compat import torchvision
from clickpaint.errors import HostUnsupported, InvalidInput, NotFound
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.image.picture import from_pixels
from clickpaint.paint.diffusion.frame_sampling import Motion
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit
from clickpaint.paint.systems.system_folders import require, systems
from clickpaint.studio.studio import Studio

torchvision.available()
diffusers = pytest.importorskip("diffusers")
SIDE = 32


def dit(folder):
    torch.manual_seed(0)
    transformer = diffusers.DiTTransformer2DModel(
        sample_size=SIDE // 8, num_layers=1, patch_size=2, attention_head_dim=4, num_attention_heads=2, in_channels=4, out_channels=8,
        attention_bias=True, activation_fn="gelu-approximate", num_embeds_ada_norm=1000, norm_type="ada_norm_zero",
        norm_elementwise_affine=False,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4, latent_channels=4, sample_size=SIDE,
    )  # fmt: skip
    pipe = diffusers.DiTPipeline(transformer=transformer, vae=vae, scheduler=diffusers.DDIMScheduler())
    pipe.save_pretrained(folder, safe_serialization=True)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "id2label": {"7": "cock, rooster"}}))  # as the published one has it


def video(folder):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=SIDE // 8, in_channels=8, out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=16, num_attention_heads=2,
        projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=4, sample_size=SIDE,
        layers_per_block=1,
    )  # fmt: skip
    config = transformers.CLIPVisionConfig(
        hidden_size=16, projection_dim=16, num_hidden_layers=1, num_attention_heads=2, image_size=224, intermediate_size=16, patch_size=56
    )
    pipe = diffusers.StableVideoDiffusionPipeline(
        unet=unet, vae=vae, image_encoder=transformers.CLIPVisionModelWithProjection(config).eval(),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", timestep_type="continuous",
            prediction_type="v_prediction", use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, interpolation_type="linear",
        ),
        feature_extractor=transformers.CLIPImageProcessor(crop_size=224, size=224),
    )  # fmt: skip
    pipe.save_pretrained(folder, safe_serialization=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    made = folder / "models" / "diffusers"
    dit(made / "dit")
    video(made / "moving")
    foreign = made / "foreign"
    foreign.mkdir()
    foreign.joinpath("model_index.json").write_text(json.dumps({"_class_name": "DiTPipeline", "vae": ["my_own_code", "Vae"]}))
    return folder


@pytest.fixture(scope="module")
def studio(folder):
    studio = Studio(EmbeddedHost(folder, environment={}, overrides={"device": "cpu"}))
    yield studio
    studio.shut_down()


def drawing():
    y, x = np.mgrid[:64, :64]
    return np.dstack([x * 3, y * 3, x + y]).astype(np.uint8)


def test_folders_are_known_by_what_they_say(studio, folder):
    known = {system.name: system for system in systems([folder / "models" / "diffusers"])}
    assert {name: (system.kind.title, bool(system.reason)) for name, system in known.items()} == {
        "dit": ("DiT", False), "moving": ("Stable Video Diffusion", False), "foreign": ("DiT", True),
    }  # fmt: skip
    places = [folder / "models" / "diffusers"]
    with pytest.raises(HostUnsupported, match="my_own_code"):
        require("foreign", "generate", places)
    with pytest.raises(InvalidInput, match="cannot fill"):
        require("dit", "fill", places)
    with pytest.raises(NotFound, match="no system 'x'"):
        require("x", "fill", places)
    with pytest.raises(NotFound, match="can vary"):
        require("auto", "vary", places)


def test_what_would_change_nothing_with_a_system_is_refused(studio, folder, capsys):
    for values in ({"sampler": "Euler"}, {"scheduler": "Karras"}, {"denoising_strength": 0.3}, {"negative_prompt": "x"},
                   {"control": (ControlUnit("none", "any"),)}, {"guide": "clip", "guide_words": "x"}):  # fmt: skip
        with pytest.raises(InvalidInput, match=rf"dit these change nothing: {next(iter(values))}"):
            studio.painting.generate(grouped(prompt="7", system="dit", **values))
    with pytest.raises(HostUnsupported, match="Systems make"):
        studio.painting.generate_clip(grouped(prompt="7", system="dit"), 2, Motion())
    assert main(["generate", "-p", "7", "--system", "dit", "--sampler", "Euler", "--data-dir", str(folder), "--device", "cpu"]) == 2
    assert "change nothing: sampler" in capsys.readouterr().err


def test_a_class_becomes_the_picture_that_diffusers_makes(studio, folder):
    options = grouped(prompt="7", steps=2, seed=3, system="dit", cfg_scale=4.0)
    ours = studio.painting.generate(options, None, None).pictures[0].pixels
    named = studio.painting.generate(grouped(prompt="rooster", steps=2, seed=3, system="dit", cfg_scale=4.0), None, None)
    theirs = diffusers.DiTPipeline.from_pretrained(
        str(folder / "models" / "diffusers" / "dit"), torch_dtype=studio.host.device().torch_dtype
    )
    theirs.set_progress_bar_config(disable=True)
    (expected,) = theirs(
        [7], guidance_scale=4.0, num_inference_steps=2, generator=torch.Generator().manual_seed(3), output_type="np"
    ).images
    assert np.abs(ours.astype(int) - (np.float32(expected) * 255).round().astype(int)).max() <= 1
    assert np.array_equal(named.pictures[0].pixels, ours)
    with pytest.raises(InvalidInput, match="no class of ImageNet"):
        studio.painting.generate(grouped(prompt="nonsense", system="dit"), None, None)


def test_a_picture_begins_to_move(studio, folder, tmp_path, capsys):
    picture = tmp_path / "still.png"
    Image.fromarray(drawing()).save(picture)
    clip = studio.painting.animate(from_pixels(drawing()), grouped(steps=2, seed=5), frames=3)
    assert len(clip.frames) == 3 and clip.frames[0].shape == (64, 64, 3) and not np.array_equal(clip.frames[0], clip.frames[2])
    command = ["animate", str(picture), "--frames", "3", "--steps", "2", "--seed", "5", "--data-dir", str(folder), "--device", "cpu"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 3 and np.array_equal(np.asarray(Image.open(files[2]).convert("RGB")), clip.frames[2])
    assert main(["systems", "--data-dir", str(folder)]) == 0
    assert "moving: Stable Video Diffusion" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="frames"):
        studio.painting.animate(from_pixels(drawing()), grouped(), frames=1)
