"""The command line: what the studio does, as commands."""
