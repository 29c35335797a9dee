"""`clickpaint train`: from a folder to a file, told what it takes before, and once more from what it has written."""

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from clickpaint.app.main import main
from tests.train.toys import checkpoint_tensors, scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set, and a checkpoint beside it."""
    folder = tmp_path_factory.mktemp("training")
    data = folder / "reds"
    data.mkdir()
    example = scene((40, 160, 60))
    Image.fromarray(example.pixels).save(data / "a.png")
    Image.fromarray(example.mask.astype(np.uint8) * 255).save(data / "a-masklabel.png")
    (data / "a.txt").write_text("a red square")
    tensors = checkpoint_tensors(4, "sd1")
    save_file(
        {key: tensor.half().contiguous() for key, tensor in tensors.items() if tensor.is_floating_point()}, folder / "toy.safetensors"
    )
    return folder


def test_a_training_is_told_run_and_repeated_from_its_settings(folder, capsys):
    command = ["train", "lora", "--data", str(folder / "reds"), "--checkpoint", str(folder / "toy.safetensors"), "--data-dir", str(folder)]
    more = ["--resolution", "64", "--steps", "2", "--rank", "2", "--text-learning-rate", "0", "--result-type", "float32"]
    assert main([*command, *more, "--dry-run", "-o", str(folder / "first.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "million numbers learn" in said and "64 x 64" in said and "A step takes" in said and not (folder / "first.safetensors").exists()
    assert main([*command, *more, "-o", str(folder / "first.safetensors")]) == 0
    assert "2 steps" in capsys.readouterr().out
    config = folder / "first.toml"
    assert main(["train", "lora", "--config", str(config), "--data-dir", str(folder), "-o", str(folder / "second.safetensors")]) == 0
    first, second = (safe_open(folder / f"{name}.safetensors", "pt") for name in ("first", "second"))
    assert first.keys() == second.keys() and first.metadata()["ss_network_dim"] == "2"
    assert first.metadata()["sshs_model_hash"] == second.metadata()["sshs_model_hash"]
    assert (folder / "first_training" / "loss.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()
    assert main([*command, *more, "--rank", "4", "-o", str(folder / "first.safetensors")]) == 2
    assert "other settings" in capsys.readouterr().err
    assert main(["train", "dreambooth", "--config", str(config), "-o", str(folder / "x.safetensors")]) == 2
    assert "Use clickpaint train lora" in capsys.readouterr().err


def test_pictures_of_the_class_are_painted_first(folder):
    command = ["train", "dreambooth", "--data", str(folder / "reds"), "--checkpoint", str(folder / "toy.safetensors")]
    more = ["--data-dir", str(folder), "--resolution", "64", "--steps", "1", "--rank", "2", "--class-prompt", "a square"]
    assert main([*command, *more, "--class-count", "2", "--sample-steps", "1", "-o", str(folder / "dream.safetensors")]) == 0
    painted = sorted(path.name for path in (folder / "dream_training" / "class").iterdir())
    assert painted == ["0000.png", "0000.txt", "0001.png", "0001.txt"]
