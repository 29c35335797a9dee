"""A training that is killed again and again and comes to the same file: run as a program, because only a process that has computed no
gradients itself can be divided into others that do."""

import os
import random
import signal
import sys
from pathlib import Path

import torch

from clickpaint.train import run_folder
from clickpaint.train.run_types import TrainingTurns
from clickpaint.train.training_run import TrainingRun
from clickpaint.weights.device import Device
from tests import machine
from tests.train.toys import job, opened_checkpoint, opener, scene, turn

STEPS = 6


def train(output: Path, tell=lambda: None) -> None:
    """To the end, with a word through `tell` after every step and amid every writing of a file."""
    examples = [turn(scene((40, 160, 60), left)) for left in (0, 16, 32)]
    checkpoint = opened_checkpoint()
    settings = {"save_every": 2, "sample_every": 6, "sample_steps": 1, "rank": 2, "schedule": "cosine", "noise_offset": 0.1}
    training = job(output, steps=STEPS, **settings)

    def plan(epoch):
        return [[examples[(place + epoch) % 3]] for place in range(3)]

    synced = os.fsync

    def fsync(file):
        synced(file)
        tell()

    os.fsync = fsync
    TrainingRun(training, TrainingTurns(plan, "toy"), Device(), training.folder / "cache", lambda report: tell()).run(opener(checkpoint))


def killed_after(moments: int, output: Path) -> bool:
    """Train in another process and kill it after it has told so often; whether it came to its end before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            train(output, lambda: os.write(writing, b"."))
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    os.close(writing)
    for _ in range(moments):
        if not os.read(reading, 1):
            break
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a training failed"
    return not os.WIFSIGNALED(status)


def main(folder: Path, most: int) -> None:
    torch.set_num_threads(1)
    machine.spare_zeros()
    opened_checkpoint()  # made once, for all
    assert killed_after(10**6, folder / "whole" / "x.safetensors")
    lot, kills = random.Random(3), 0
    while not killed_after(lot.randint(1, 5) if kills < most else 10**6, folder / "killed" / "x.safetensors"):
        kills += 1
    for name in ("x.safetensors", "x_training/loss.csv", f"x_training/{run_folder.SAMPLES}/000006_1.png"):
        same = (folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes()
        print(name, "same" if same else "DIFFERENT")
    print("kills", kills, "parts", len(list((folder / "killed").rglob(".*.part"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
