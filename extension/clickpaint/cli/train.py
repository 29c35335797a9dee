"""`train lora`, `train dreambooth`, `train embedding`, `train controlnet`, `train instruct` and `train finetune`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.cli.files import printable
from clickpaint.cli.options import add_checkpoint_options, add_command, add_host_options, studio_of
from clickpaint.errors import InvalidInput
from clickpaint.train.training_settings import DEFAULTS_OF, KINDS, SETTING_FIELDS, Kind, TrainingJob, TrainingSettings, read_config

if TYPE_CHECKING:
    from clickpaint.studio.trainings import Training

_HELP: dict[Kind, str] = {
    "lora": "train a LoRA of what the data set shows",
    "dreambooth": "train a LoRA of an object beside pictures of its class, which stays what it is",
    "embedding": "train a word (textual inversion)",
    "controlnet": "train a ControlNet from pictures and their control maps",
    "instruct": "train a checkpoint that follows instructions (InstructPix2Pix) from pictures before and after edits",
    "finetune": "train the checkpoint itself",
}


def add_commands(commands: Any) -> None:
    group = commands.add_parser("train", help="train a LoRA and more from a data set", description="Train from a data set.")
    family = group.add_subparsers(metavar="COMMAND", required=True)
    for kind in KINDS:
        parser = add_command(family, kind, train, _HELP[kind])
        parser.set_defaults(kind=kind)
        parser.add_argument("--data", metavar="DATA", help="the data set: a name, or a folder in any of the layouts that trainers read")
        parser.add_argument(
            "-o", "--output", type=Path, metavar="OUT", help="the result, a .safetensors file; what it leaves beside it is called like it"
        )
        parser.add_argument(
            "--config", type=Path, metavar="FILE", help="settings from a TOML file as every training writes one; options come before it"
        )
        parser.add_argument("--restart", action="store_true", help="start over; otherwise a training that was stopped goes on")
        parser.add_argument("--dry-run", action="store_true", help="only say how much memory it takes and what would fit")
        add_checkpoint_options(parser)
        for name, known in SETTING_FIELDS.items():
            if kind in known.metadata["kinds"]:
                _add_setting(parser, kind, name)
        add_host_options(parser)


def _add_setting(parser: argparse.ArgumentParser, kind: Kind, name: str) -> None:
    known = SETTING_FIELDS[name]
    default, flag = DEFAULTS_OF[kind].get(name, known.default), f"--{name.replace('_', '-')}"
    help = known.metadata["help"].replace("%", "%%")
    if isinstance(default, bool):
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=f"{help} ({'on' if default else 'off'})")
        return
    choices, number = known.metadata["choices"], type(default) if isinstance(default, (int, float)) else str
    metavar = None if choices else "TEXT" if number is str else "N"
    shown = f" ({default})" if default not in ("", ()) else ""
    parser.add_argument(flag, type=number, default=None, choices=choices, metavar=metavar, help=help + shown)


def train(options: argparse.Namespace) -> int:
    job = _job(options)
    studio = studio_of(options)
    if options.dry_run:
        expected = studio.trainings.forecast(job)
        print(f"{_fit_line(expected.fit)} Pictures are brought to {expected.resolution} x {expected.resolution}.")
        print(_seconds_line(expected.step_seconds, expected.steps))
        return 0
    training = studio.trainings.start(job, options.restart)
    try:
        _show(training)
    except KeyboardInterrupt:
        training.task.interrupt()
        while not training.wait(0.2):
            pass
        print(f"\nStopped after step {_done(training)}; the same command goes on from there.")
        raise
    if training.error is not None:
        raise training.error
    beside = f"{job.output.with_suffix('.toml').name} and {job.folder.name}"
    print(f"{printable(str(job.output))}: {training.job.settings.steps} steps, {_losses(training)}; beside it {beside}")
    return 0


def _job(options: argparse.Namespace) -> TrainingJob:
    kind: Kind = options.kind
    values: dict[str, Any] = {}
    if options.config is not None:
        values = read_config(options.config)
        said = values.pop("kind", kind)
        if said != kind:
            raise InvalidInput(
                "{file} is of a training of the kind {kind}.", "Use clickpaint train {kind}.", file=options.config.name, kind=said
            )
    data, checkpoint = values.pop("data", None), values.pop("checkpoint", None)
    options.checkpoint = options.checkpoint or checkpoint
    data = options.data or data
    if not data:
        raise InvalidInput("There is no data set.", "Name one with --data.")
    if options.output is None:
        raise InvalidInput("The result has no name.", "Give -o NAME.safetensors.")
    values |= {name: value for name in SETTING_FIELDS if (value := getattr(options, name, None)) is not None}
    return TrainingJob(kind, _absolute(data), options.checkpoint or "", options.output.absolute(), TrainingSettings.of(values, kind))


def _absolute(data: str) -> str:
    """A folder by its whole path, so that a configuration works from everywhere; a name as it is."""
    return str(Path(data).absolute()) if Path(data).is_dir() else data


def _show(training: Training) -> None:
    """A bar until the training ends, after lines that say what it takes."""
    from tqdm import tqdm

    said: set[str] = set()

    def say(what: str, line: str) -> None:
        if what not in said:
            said.add(what)
            tqdm.write(line)

    with tqdm(total=training.job.settings.steps, unit="step", disable=None, smoothing=0.1) as bar:
        while True:
            ended = training.wait(0.2)
            if training.fit is not None:
                say("fit", _fit_line(training.fit))
            if training.begun_at:
                say("begun", f"It goes on after step {training.begun_at}.")
            if training.step_seconds is not None:
                say("seconds", _seconds_line(training.step_seconds, training.job.settings.steps))
            bar.n = _done(training)
            if training.reports:
                recent = training.reports[-20:]
                bar.set_postfix_str(f"loss {sum(report.loss for report in recent) / len(recent):.4f}", refresh=False)
            elif training.task.step.text:
                bar.set_description_str(training.task.step.text, refresh=False)
            bar.refresh()
            if ended:
                return


def _seconds_line(step: float, steps: int) -> str:
    return f"A step takes {step:.3g} s; all of them about {_span(step * steps)}."


def _done(training: Training) -> int:
    return training.reports[-1].step if training.reports else training.begun_at


def _losses(training: Training) -> str:
    recent = training.reports[-100:]
    return f"loss {sum(report.loss for report in recent) / len(recent):.4f}" if recent else "nothing was left to do"


def _fit_line(fit: Any) -> str:
    way = "with" if fit.thrifty else "without"
    return (
        f"{fit.estimate.parameters / 1e6:.2f} million numbers learn; about {fit.estimate.total / 2**30:.1f} GB besides the checkpoint, "
        f"{way} gradient checkpointing ({fit.free / 2**30:.1f} GB are free)."
    )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
