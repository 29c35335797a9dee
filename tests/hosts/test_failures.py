"""What users read of an exception of the web UI's."""

from __future__ import annotations

import pytest

from clickpaint.errors import HostFailed, Interrupted, OutOfMemory
from clickpaint.hosts.webui.failures import explained, reason

CUDA = (
    "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported at some other API call.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError(CUDA), "CUDA error: device-side assert triggered."),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (77x768 and 1024x320)"),
         "mat1 and mat2 shapes cannot be multiplied (77x768 and 1024x320)."),
        (RuntimeError("Error(s) in loading state_dict for UNet:\n\tsize mismatch for out.2.weight"),
         "Error(s) in loading state_dict for UNet: size mismatch for out.2.weight."),
        (FileNotFoundError(2, "No such file or directory", "/opt/webui/models/VAE/a.pt"),
         "[Errno 2] No such file or directory: 'a.pt'."),
        (ValueError("D:\\webui\\models\\a.ckpt is broken"), "a.ckpt is broken."),
        (RuntimeError("\x1b[31mNo weights!\x1b[0m"), "No weights!"),
        (RuntimeError("\n  \n"), "RuntimeError, without a reason."),
        (KeyError("model.weight"), "'model.weight' is missing."),
        (AttributeError("'NoneType' object has no attribute 'lowvram'"), "an error in its program (AttributeError)."),
        (RuntimeError("Bad file. Please file an issue at https://example.org"), "Bad file."),
        (RuntimeError("3/4 of the steps done at 1/2 strength"), "3/4 of the steps done at 1/2 strength."),
    ],
)  # fmt: skip
def test_the_reason_in_one_sentence(error, said):
    assert reason(error) == said


def test_a_long_one_is_cut_between_words():
    said = reason(RuntimeError("word " * 200))
    assert len(said) < 250 and said.endswith("word …")


def test_what_users_read_names_the_reason():
    explanation = explained(RuntimeError("Sizes of tensors must match"))
    assert isinstance(explanation, HostFailed)
    assert "Sizes of tensors must match" in explanation.message and explanation.remedy
    mine = Interrupted()
    assert explained(mine) is mine
    assert isinstance(explained(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), OutOfMemory)
    assert "NaN" in str(explained(type("NansException", (Exception,), {})("A tensor with NaNs was produced in Unet.")))
