"""The command line: the studio's use-cases as commands, and the server of the page."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence

from clickpaint import __version__
from clickpaint.cli import caption, control, cutting, datasets, editing, models, painting, palette, pictures, systems, train, video
from clickpaint.cli.options import add_command, add_host_options, add_serve_options, host_of, public_host_of, studio_of
from clickpaint.errors import ClickpaintError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 for an error that was printed as a sentence, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what no encoding can say
    # before torch is imported: its workers then sleep while they wait, and a click beside busy programs takes a fifth of the time
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return options.command(options)
    except ClickpaintError as error:
        print(f"clickpaint: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"clickpaint: {error.filename}: {error.strerror}. Give this program the right to it, or name another.", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clickpaint",
        description="Click on anything in a picture, then remove it, fill or replace it, describe it, or make a control map of it.",
    )
    parser.add_argument("--version", action="version", version=f"clickpaint {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_serve_options(add_command(commands, "serve", serve, "serve the page and the API"))
    for family in (pictures, cutting, painting, palette, editing, systems, caption, control, video, datasets, train, models):
        family.add_commands(commands)
    add_host_options(add_command(commands, "doctor", run_doctor, "say what is installed, what is missing, and what to do"))
    return parser


def serve(options: argparse.Namespace) -> int:
    from clickpaint.app.serving import serve

    if options.with_models:
        studio = studio_of(options)
        try:
            models.download(studio, studio.pool.recommended())
        except ClickpaintError as error:  # the page works without them, and offers them again
            print(f"clickpaint: {error}", file=sys.stderr)
    host = public_host_of(options) if options.public else host_of(options)
    token = options.token or (None if options.public else os.environ.get("CLICKPAINT_TOKEN")) or None
    return serve(host, options.host, options.port, token, browser=not options.no_browser, public=options.public)


def run_doctor(options: argparse.Namespace) -> int:
    from clickpaint.app.doctor import examine

    report = examine(host_of(options))
    print(report.text())
    return 0 if report.healthy else 2
