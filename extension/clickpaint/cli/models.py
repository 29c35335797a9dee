"""`models`: list, download, verify and remove model files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from clickpaint.cli.options import add_command, add_host_options, studio_of
from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.weights.recommended import megabytes

if TYPE_CHECKING:
    from clickpaint.studio.studio import Studio
    from clickpaint.studio.tasks import Task


def add_commands(commands: Any) -> None:
    models = commands.add_parser("models", help="list, download, verify and remove model files").add_subparsers(
        metavar="COMMAND", required=True
    )
    add_host_options(add_command(models, "list", list_models, "list the models and what there is of them"))
    for name, work, help in (
        ("download", download_models, "download models"),
        ("verify", verify_models, "read model files that are here and compare their checksums"),
        ("remove", remove_models, "delete model files that were downloaded"),
    ):
        made = add_command(models, name, work, help)
        made.add_argument("names", nargs="+" if name == "remove" else "*", metavar="NAME", help="as `models list` names it")
        if name == "download":
            made.add_argument("--recommended", action="store_true", help=f"what is worth having first, {megabytes()} MB")
        add_host_options(made)


def list_models(options: argparse.Namespace) -> int:
    from clickpaint.weights.catalog import files_of, models

    studio = studio_of(options)
    store, first = studio.pool.store, studio.pool.recommended()
    print(f"{'NAME':24} {'STATE':12} {'SIZE':>9}  {'ROLE':10} LICENCE")
    for name in models():
        state, shown = store.state(name), files_of(name)[0]
        size = f"{state.bytes / 1e6:.0f} MB" if state.bytes else "?"
        print(f"{name:24} {state.state:12} {size:>9}  {shown.role:10} {shown.licence}{' (recommended)' if name in first else ''}")
        if state.state in ("corrupt", "unavailable"):
            print(f"{'':24} {state.reason}")
    own = studio.inventory.usage().files
    if own:
        print("\nYour own files:")
    for file in own:
        print(f"{file.kind:24} {'used' if file.used else '':12} {f'{file.bytes / 1e6:.0f} MB':>9}  {file.name}")
    return 0


def download_models(options: argparse.Namespace) -> int:
    studio = studio_of(options)
    if not options.names and not options.recommended:
        raise InvalidInput("No model was named.", "Name some of `clickpaint models list`, or give --recommended.")
    download(studio, (*(studio.pool.recommended() if options.recommended else ()), *options.names))
    return 0


def download(studio: Studio, names: tuple[str, ...]) -> None:
    """Download models one after another, with their progress on the terminal. Raises what the first that fails raises."""
    for name in names:
        _watch(studio.downloads.download(name), name)
        print(f"{name}: {studio.pool.store.state(name).path}")


def remove_models(options: argparse.Namespace) -> int:
    studio = studio_of(options)
    for name in options.names:
        print(f"{name}: {studio.downloads.remove(name) / 1e6:.0f} MB freed")
    return 0


def verify_models(options: argparse.Namespace) -> int:
    from clickpaint.weights.catalog import models

    studio = studio_of(options)
    store = studio.pool.store
    names = options.names or [name for name in models() if store.state(name).state in ("present", "corrupt")]
    wrong = 0
    for name in names:
        _watch(studio.downloads.verify(name), name)
        state = store.state(name)
        wrong += state.state != "present"
        print(f"{name}: {'right' if state.state == 'present' else state.reason}")
    if not names:
        print("No model files are here.")
    return 2 if wrong else 0


def _watch(task: Task, name: str) -> None:
    """Show a task's progress until it ends. Raises what it failed with."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        try:
            while not task.wake.wait(0.1) or task.active:
                step = task.step
                if step.total is not None and step.done is not None:
                    bar.total = step.total
                    bar.update(step.done - bar.n)
        except KeyboardInterrupt:
            task.interrupt()
            raise
    if task.state != "done":
        raise ClickpaintError(task.error or "Interrupted.")
