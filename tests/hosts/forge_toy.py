"""Start Forge, Forge Neo or ersatzForge on the toy checkpoint: they recognise models by the real sizes, so the toy's are put beside them.

Run in its folder by its Python: `python forge_toy.py launch-arguments…`.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def teach_toy_sizes() -> None:
    """Make Forge's own loader accept a Stable Diffusion 1 with the widths of `tests/toys/checkpoint.py`."""
    from huggingface_guess import model_list

    from tests.toys import checkpoint as toy

    model_list.SD15.unet_config = {**model_list.SD15.unet_config, "model_channels": toy.MODEL_CHANNELS}

    from backend.nn.vae import IntegratedAutoencoderKL

    load_vae_config = IntegratedAutoencoderKL.load_config

    def vae_config(*args, **kwargs):
        config = dict(load_vae_config(*args, **kwargs))
        return {**config, "block_out_channels": [toy.VAE_CHANNELS * mult for mult in toy.VAE_MULT]}

    IntegratedAutoencoderKL.load_config = staticmethod(vae_config)

    from transformers import CLIPTextConfig

    load_clip_config = CLIPTextConfig.from_pretrained.__func__

    def clip_config(cls, *args, **kwargs):
        config = load_clip_config(cls, *args, **kwargs)
        config.num_hidden_layers = toy.CLIP_LAYERS
        return config

    CLIPTextConfig.from_pretrained = classmethod(clip_config)


if __name__ == "__main__":
    # Forge reads its arguments while its modules are imported, so they must be in place before
    forge = Path.cwd()
    places = ("repositories/huggingface_guess", "modules_forge/packages", "packages")  # of huggingface_guess: Forge, Neo, ersatzForge
    guess = next(forge / place for place in places if (forge / place).is_dir())
    sys.path[:0] = [str(forge), str(guess), str(Path(__file__).resolve().parents[2])]
    sys.argv = [str(forge / "launch.py"), *sys.argv[1:]]
    from modules_forge import initialization

    initialize = initialization.initialize_forge

    def initialize_and_teach(*arguments: object) -> None:
        initialize(*arguments)  # Neo's takes one
        teach_toy_sizes()
        from huggingface_guess import model_list

        own_chroma = (forge / "backend/diffusion_engine/chroma.py").is_file()  # and not ersatzForge's families
        if own_chroma and (hasattr(model_list, "ZImage") or not hasattr(model_list, "Chroma")):
            from tests.hosts.family_toy import teach_families

            teach_families()

    initialization.initialize_forge = initialize_and_teach
    runpy.run_path("launch.py", run_name="__main__")
