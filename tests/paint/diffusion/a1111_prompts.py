"""What the AUTOMATIC1111 web UI makes of prompts; runs in its environment, beside its own modules.

    cd WEB_UI; venv/bin/python a1111_prompts.py CLIP_FOLDER < prompts.json > answers.json

CLIP_FOLDER holds the toy checkpoint's text encoder and tokenizer. An answer has "pieces", "schedule" (20 steps), "chunks" of (tokens,
weights), and some "values" of the conditioning with clip skip 1 and 2, in a chunk's first, second, tenth and last place.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from typing import Any

WORD = "mytoken"
"""A textual inversion of three vectors, the n-th of which is n / 10 everywhere."""
PLACES, CHANNELS = (0, 1, 9, 76), 3


def main() -> None:
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

    opts = types.SimpleNamespace(
        emphasis="Original", comma_padding_backtrack=20, use_old_emphasis_implementation=False, CLIP_stop_at_last_layers=1,
        textual_inversion_add_hashes_to_infotext=False, sdxl_clip_l_skip=False,
    )  # fmt: skip
    sys.path.insert(0, ".")
    for name, content in (
        ("devices", {"device": torch.device("cpu"), "torch_npu_set_device": lambda: None}),
        ("sd_hijack", {"model_hijack": None}),
        ("shared", {"opts": opts}),
    ):
        module = types.ModuleType(f"modules.{name}")
        module.__dict__.update(content)
        sys.modules[module.__name__] = module
        setattr(importlib.import_module("modules"), name, module)
    clip = importlib.import_module("modules.sd_hijack_clip")
    parser = importlib.import_module("modules.prompt_parser")

    folder = sys.argv[1]
    tokenizer: Any = CLIPTokenizer.from_pretrained(folder)
    model: Any = CLIPTextModel.from_pretrained(folder).eval()
    ids = tokenizer(WORD, add_special_tokens=False)["input_ids"]
    word = types.SimpleNamespace(name=WORD, vectors=3, vec=torch.arange(3)[:, None].expand(3, model.config.hidden_size) / 10, shorthash="")

    class Words:
        def find_embedding_at_position(self, tokens, place):
            return (word, len(ids)) if tokens[place : place + len(ids)] == ids else (None, None)

    hijack = types.SimpleNamespace(embedding_db=Words(), fixes=None, extra_generation_params={}, comments=[])
    embedding = model.text_model.embeddings.token_embedding

    def fixed(module, inputs, output):
        output = output.clone()
        for row, fixes in enumerate(hijack.fixes or []):
            for at, fix in fixes:
                output[row, at + 1 : at + 1 + fix.vectors] = fix.vec
        return output

    embedding.register_forward_hook(fixed)
    encoder = clip.FrozenCLIPEmbedderWithCustomWords(types.SimpleNamespace(tokenizer=tokenizer, transformer=model), hijack)
    answers = []
    for prompt in json.load(sys.stdin):
        try:
            parser.parse_prompt_attention(prompt)
        except ValueError:  # it does not expect "(a:1.2.3)"
            continue
        values = []
        for skip in (1, 2):
            opts.CLIP_stop_at_last_layers = skip
            with torch.no_grad():
                z = encoder([prompt])[0].view(-1, 77, model.config.hidden_size)
            values.append(z[:, PLACES, :CHANNELS].flatten().tolist())
        answers.append(
            {
                "prompt": prompt,
                "pieces": parser.parse_prompt_attention(prompt),
                "schedule": parser.get_learned_conditioning_prompt_schedules([prompt], 20)[0],
                "chunks": [(chunk.tokens[1:-1], chunk.multipliers[1:-1]) for chunk in encoder.tokenize_line(prompt)[0]],
                "values": values,
            }
        )
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
