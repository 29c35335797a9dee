"""The programs: the command line with its server, the stand-alone app, and the extension of a web UI. Everything is put together here."""
