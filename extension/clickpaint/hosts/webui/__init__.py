"""AUTOMATIC1111's web UI, Forge and reForge as hosts. Nothing outside this folder imports the web UI's `modules`."""
