"""The one file that the web UI executes: it finds the package beside it and registers it."""

import sys
from pathlib import Path

source = str(Path(__file__).resolve().parents[1] / "extension")
if source not in sys.path:
    sys.path.append(source)

from clickpaint.app import webui  # noqa: E402  # the web UI may take the path away again once this file is done; the package stays

webui.register()
Script = webui.script()
