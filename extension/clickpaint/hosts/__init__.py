"""Where Clickpaint runs: on its own (`embedded`) or inside a web UI (`webui`)."""
