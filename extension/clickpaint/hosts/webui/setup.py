"""What `install.py` does inside a web UI: bring the packages that are missing, and move none that are there."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

_OLD = sys.version_info < (3, 11)

PACKAGES = {
    "segment-anything": "segment-anything==1.0",
    "segment-anything-hq": "segment-anything-hq==0.3",
    "mobilesam-mirror": "mobilesam-mirror==1.0.0",
    "lama-cleaner": "lama-cleaner==1.2.5",
    "loguru": "loguru==0.7.3",
    "rich": "rich==15.0.0",  # what lama-cleaner imports, and what that needs itself; A1111 has none of it
    "markdown-it-py": "markdown-it-py==4.3.0",
    "mdurl": "mdurl==0.1.2",
    "pygments": "pygments==2.21.0",
    "controlnet-aux": "controlnet_aux==0.0.10",
    "pillow-heif": "pillow-heif==0.16.0" if sys.version_info < (3, 13) else "pillow-heif==1.1.1",  # the last that takes Pillow 9.5
    "av": "av==18.1.0" if sys.version_info >= (3, 11) else "av==17.1.0",  # FFmpeg is in it, and it needs nothing else
    "diffusers": "diffusers==0.31.0",  # Forge has it; A1111 has not, and its transformers goes with none newer
    "peft": "peft==0.13.2",  # Forge has it; A1111 has not, and its accelerate and transformers go with none much newer
    "prodigyopt": "prodigyopt==1.1.2",
    "onnxruntime": "onnxruntime==1.23.2" if _OLD else "onnxruntime==1.32.0",
    "rapidocr": "rapidocr==3.10.0",  # reads text, with what it imports
    "pyclipper": "pyclipper==1.4.0",
    "shapely": "shapely==2.1.2" if _OLD else "shapely==2.2.0",
    "pymatting": "pymatting==1.1.16",  # the edges of cut-outs; it works where numba is, which web UIs have for facexlib
    "tomesd": "tomesd==0.1.3",  # merges tokens; every web UI has it so far
    "omegaconf": "omegaconf==2.4.0",
    "colorlog": "colorlog==6.12.0",
    "six": "six==1.17.0",
}
"""Distribution → requirement, brought where no version of it is there. All are installed without their dependencies, whose pins would
move the web UI's packages; what they need beside these (torch, torchvision, timm, OpenCV, SciPy, Pillow, pydantic, transformers) every
web UI brings itself."""

_IN_SEVERAL = ("onnxruntime",)
"""Modules that several distributions bring (onnxruntime-gpu and others); ours would overwrite what is there."""


def missing() -> list[str]:
    """The distributions that are not installed; takes milliseconds."""
    absent = []
    for name in PACKAGES:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name not in _IN_SEVERAL or importlib.util.find_spec(name) is None:
                absent.append(name)
    return absent


def install_missing() -> None:
    """Install what is missing through the web UI's own helper, which knows its index and `--skip-install`.

    A package that cannot be had is told and does not stop the rest: what needs it is listed as unavailable in the tab.
    """
    absent = missing()
    if not absent:
        return
    import launch  # the web UI's; only now, because importing it takes longer than all the rest

    for name in absent:
        try:
            launch.run_pip(f'install --no-deps "{PACKAGES[name]}"', f"{name} for Clickpaint")
        except Exception as error:
            reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            print(f"Clickpaint goes on without {name}: {reason.removeprefix('stderr: ')} It is tried again at the next start.")
