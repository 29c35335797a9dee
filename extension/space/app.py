"""The page for everybody, as a Hugging Face Space of the kind "gradio"."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

try:
    import spaces  # pyrefly: ignore[missing-import]  # there on ZeroGPU only
except ImportError:
    pass
else:
    # ZeroGPU stops a Space that declares no function for its GPU. It lends that to Gradio's own events only, and one for a few seconds is
    # of no use to a picture that is open for minutes, so everything is computed on the processor.
    @spaces.GPU
    def never_called() -> None:
        """Declared for ZeroGPU."""


def install_alone() -> None:
    """Packages whose own lists of requirements would bring another torch or a second OpenCV."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(HERE / "requirements-alone.txt")]
    if subprocess.run(pip).returncode != 0:
        print("Some packages are missing: the page says which models cannot be used without them.", flush=True)


def main() -> int:
    install_alone()
    sys.path.insert(0, str(HERE / "extension"))
    from clickpaint.app.main import main

    os.environ.setdefault("CLICKPAINT_DEVICE", "cpu")
    return main(
        ["serve", "--public", "--with-models", "--no-browser", "--host", "0.0.0.0", "--port", os.environ.get("GRADIO_SERVER_PORT", "7860")]
    )


if __name__ == "__main__":
    sys.exit(main())
