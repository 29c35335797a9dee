"""Everything that a training can be told, declared once: its command-line options, its TOML file and its API follow from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from clickpaint.errors import InvalidInput, cannot_write

Kind = Literal["lora", "dreambooth", "embedding", "controlnet", "instruct", "finetune"]
"""What can be trained. "dreambooth" is a LoRA with prior preservation."""
KINDS: tuple[Kind, ...] = get_args(Kind)
ADAPTERS = ("lora", "dreambooth")
"""Kinds that train low-rank changes beside the checkpoint."""
WHOLE = ("controlnet", "instruct", "finetune")
"""Kinds that train a network of their own."""


def _field(
    default: Any, help: str, *, kinds: tuple[str, ...] = KINDS, choices: tuple[str, ...] | None = None,
    minimum: float | None = None, maximum: float | None = None,
) -> Any:  # fmt: skip
    return field(default=default, metadata={"help": help, "kinds": kinds, "choices": choices, "minimum": minimum, "maximum": maximum})


_LEARNS_WORDS = ("lora", "dreambooth", "embedding", "finetune", "controlnet", "instruct")
ALGORITHMS = ("lora", "locon", "loha", "lokr", "dora")
OPTIMIZERS = ("adamw", "adam", "sgd", "radam", "nadam", "adafactor", "prodigy", "adamw8bit")
SCHEDULES = ("constant", "cosine", "linear")


@dataclass(frozen=True)
class TrainingSettings:
    """How a training goes. Every field has its help, its range and the kinds that heed it in `SETTING_FIELDS`.

    Raises:
        InvalidInput: a value is out of its range.
    """

    resolution: int = _field(0, "side in pixels of the square whose area pictures are brought to; 0: the checkpoint's own", minimum=0)
    batch_size: int = _field(1, "examples that are computed at once", minimum=1, maximum=256)
    accumulation: int = _field(1, "batches that make one step", minimum=1, maximum=4096)
    steps: int = _field(1500, "how often the weights are changed", minimum=1, maximum=10_000_000)
    seed: int = _field(0, "of everything that is by lot", minimum=0, maximum=2**63 - 1)
    flip: bool = _field(False, "mirror half of the pictures, by lot")
    zoom: float = _field(0.0, "come closer to the object, by lot: 0 not, 1 until it fills the picture", minimum=0, maximum=1)
    shuffle_tags: bool = _field(False, "put the parts of captions between commas in an order by lot")
    caption_dropout: float = _field(0.0, "share of turns without any words", minimum=0, maximum=1)
    caption_tokens: int = _field(75, "tokens of a caption that are read", minimum=75, maximum=225)
    clip_skip: int = _field(1, "layers of the text encoder left out, plus 1 (Stable Diffusion 1)", minimum=1, maximum=11)

    algorithm: str = _field("lora", "how the change is put together", kinds=ADAPTERS, choices=ALGORITHMS)
    rank: int = _field(16, "of the change; more can hold more", kinds=ADAPTERS, minimum=1, maximum=1024)
    alpha: float = _field(0.0, "the change counts alpha / rank times; 0: as the rank", kinds=ADAPTERS, minimum=0, maximum=4096)
    conv_rank: int = _field(
        0, "rank of the change of 3 x 3 convolutions; 0: as the rank where the algorithm has them (locon)", kinds=ADAPTERS,
        minimum=0, maximum=1024,
    )  # fmt: skip
    vectors: int = _field(4, "how many tokens the word is worth", kinds=("embedding",), minimum=1, maximum=75)
    initial_word: str = _field("*", "a word that the new one begins as", kinds=("embedding",))

    optimizer: str = _field("adamw", "what changes the weights; adamw8bit needs bitsandbytes", choices=OPTIMIZERS)
    learning_rate: float = _field(1e-4, "of the U-Net, or of whatever is trained", minimum=0, maximum=100)
    text_learning_rate: float = _field(5e-5, "of the text encoders; 0 leaves them as they are", kinds=ADAPTERS, minimum=0, maximum=100)
    schedule: str = _field("constant", "how the learning rate goes on", choices=SCHEDULES)
    warmup: int = _field(0, "steps over which the learning rate rises from 0", minimum=0, maximum=1_000_000)
    weight_decay: float = _field(0.01, "by how much the optimizer pulls weights to 0", minimum=0, maximum=1)
    gradient_limit: float = _field(1.0, "length that gradients are cut to; 0: as they are", minimum=0, maximum=1e6)

    min_snr_gamma: float = _field(
        0.0, "weigh noise levels by min-SNR-gamma (Hang et al. 2023); 5 is usual, 0: all alike", minimum=0, maximum=100
    )
    noise_offset: float = _field(0.0, "noise of one value for a whole picture, for darker and brighter ones", minimum=0, maximum=1)
    masked_loss: bool = _field(True, "learn from what the masks show, where examples have masks")
    background_weight: float = _field(0.05, "how much what lies outside of the mask counts", minimum=0, maximum=1)
    background_keep: float = _field(
        0.0, "how much the network is held to what it would paint without the change outside of the mask; costs a third more time",
        kinds=ADAPTERS, minimum=0, maximum=100,
    )  # fmt: skip
    inpaint_masks: str = _field(
        "both",
        "holes for an inpainting checkpoint: the object's mask, by lot, or now this and now that",
        choices=("clicked", "random", "both"),
    )

    prior_weight: float = _field(
        1.0, "how much pictures of the class count beside the object's", kinds=("dreambooth",), minimum=0, maximum=100
    )
    class_data: str = _field("", "a data set of the object's class", kinds=("dreambooth",))
    class_prompt: str = _field("", "what paints the class's pictures, where there is no data set of it", kinds=("dreambooth",))
    class_count: int = _field(50, "pictures of the class that are painted", kinds=("dreambooth",), minimum=1, maximum=10_000)

    ema_decay: float = _field(
        0.0, "save a moving average of the weights with this decay (0.9999 is usual); 0: none", kinds=WHOLE, minimum=0, maximum=1
    )
    gradient_checkpointing: str = _field(
        "auto", "compute a second time rather than keep: less memory, a third more time", choices=("auto", "on", "off")
    )
    result_type: str = _field("float16", "type of the numbers in the result", choices=("float16", "bfloat16", "float32"))

    save_every: int = _field(100, "steps between two states to go on from", minimum=1, maximum=1_000_000)
    sample_every: int = _field(0, "steps between two samples; 0: none", minimum=0, maximum=1_000_000)
    sample_prompts: tuple[str, ...] = _field((), "what is painted as samples, separated by |; none: the trigger word")
    sample_negative: str = _field("", "negative prompt of the samples")
    sample_seed: int = _field(1, "of the first sample", minimum=0, maximum=2**32 - 1)
    sample_steps: int = _field(20, "denoising steps of samples", minimum=1, maximum=200)

    def __post_init__(self) -> None:
        for known in fields(self):
            _check(known.name, getattr(self, known.name))

    @classmethod
    def of(cls, values: Mapping[str, Any], kind: Kind = "lora") -> TrainingSettings:
        """Settings from values by their names; the defaults of a kind for the rest.

        Raises:
            InvalidInput: an unknown name, one that this kind does not heed, or a value that does not fit.
        """
        known = SETTING_FIELDS
        for name in values:
            if name not in known:
                raise InvalidInput("There is no training setting {name}.", "Leave it out.", name=name)
            if kind not in known[name].metadata["kinds"] and values[name] != known[name].default:
                raise InvalidInput("Training of the kind {kind} does not heed {name}.", "Leave it out.", kind=kind, name=name)
        return cls(**{**DEFAULTS_OF[kind], **{name: parsed(name, value) for name, value in values.items()}})

    def values(self, kind: Kind) -> dict[str, Any]:
        """What this kind heeds, by name."""
        return {name: getattr(self, name) for name, known in SETTING_FIELDS.items() if kind in known.metadata["kinds"]}


SETTING_FIELDS = {known.name: known for known in fields(TrainingSettings)}

DEFAULTS_OF: dict[Kind, dict[str, Any]] = {
    "lora": {},
    "dreambooth": {},
    "embedding": {"learning_rate": 5e-3, "weight_decay": 0.0},
    "controlnet": {"learning_rate": 1e-5, "steps": 10_000, "masked_loss": False},
    "instruct": {"learning_rate": 5e-5, "steps": 10_000, "caption_dropout": 0.05, "masked_loss": False},
    "finetune": {"learning_rate": 1e-5, "steps": 5_000},
}
"""Where a kind starts from something else than the fields say."""


QUALITIES = ("quick", "good", "best")
_OF_QUALITY: dict[str, dict[str, Any]] = {
    "quick": {"steps": 400, "rank": 8, "learning_rate": 2e-4, "text_learning_rate": 0.0, "sample_every": 100},
    "good": {"steps": 1200, "rank": 16, "schedule": "cosine", "min_snr_gamma": 5.0, "sample_every": 200},
    "best": {"steps": 2500, "rank": 32, "schedule": "cosine", "min_snr_gamma": 5.0, "background_keep": 0.5, "sample_every": 250},
}


def quality_settings(quality: str, kind: Kind) -> dict[str, Any]:
    """What is chosen for one of `QUALITIES`, by name: of adapters all of it, of other kinds how many steps, in proportion to their own."""
    chosen = _OF_QUALITY[quality]
    if kind in ADAPTERS:
        return dict(chosen)
    own = {"sample_every": 250, "steps": round(DEFAULTS_OF[kind].get("steps", 1500) * chosen["steps"] / _OF_QUALITY["good"]["steps"])}
    return own | ({"learning_rate": 1e-2} if kind == "embedding" and quality == "quick" else {})


def parsed(name: str, value: Any) -> Any:
    """A value as its setting's type; text as on a command line will do. Raises `InvalidInput`."""
    known = SETTING_FIELDS[name]
    kind = type(known.default)
    try:
        if kind is bool:
            if not isinstance(value, (bool, int, str)) or str(value).lower() not in ("true", "false", "0", "1", "on", "off"):
                raise ValueError(value)
            return str(value).lower() in ("true", "1", "on")
        if kind is tuple:
            parts = value.split("|") if isinstance(value, str) else value
            if not all(isinstance(part, str) for part in parts):
                raise ValueError(value)
            return tuple(part.strip() for part in parts if part.strip())
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(value)
        if kind is str and not isinstance(value, str):
            raise ValueError(value)
        return kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            "The training setting {name} cannot be {value!r}.", "It takes a value of type {kind}.", name=name, value=str(value),
            kind={"tuple": "text"}.get(kind.__name__, kind.__name__),
        ) from error  # fmt: skip


def _check(name: str, value: Any) -> None:
    limits = SETTING_FIELDS[name].metadata
    low, high, choices = limits["minimum"], limits["maximum"], limits["choices"]
    if choices is not None and value not in choices:
        raise InvalidInput(
            "The training setting {name} cannot be {value!r}.", "Choose one of {choices}.", name=name, value=str(value),
            choices=", ".join(choices),
        )  # fmt: skip
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if not low <= value <= high:
        raise InvalidInput(
            "The training setting {name} cannot be {value!r}.",
            "It goes from {low:g} to {high:g}.",
            name=name,
            value=value,
            low=low,
            high=high,
        )


@dataclass(frozen=True)
class TrainingJob:
    """One training.

    Attributes:
        kind: what is trained.
        data: the data set's name or folder.
        checkpoint: the file that is trained on, or the name that the host knows it by.
        output: the file that it is to become.
        settings: how.
    """

    kind: Kind
    data: str
    checkpoint: str
    output: Path
    settings: TrainingSettings = field(default_factory=TrainingSettings)

    @property
    def folder(self) -> Path:
        """Where its states, samples, curve and cached numbers lie."""
        return self.output.with_name(f"{self.output.stem}_training")

    @property
    def name(self) -> str:
        """What the result is called, and what stands for a textual inversion in prompts."""
        return self.output.stem

    def identity(self) -> str:
        """Another one for every other training: of what must not change while it goes on."""
        heeded = self.settings.values(self.kind)
        for name in ("save_every", "sample_every", "sample_prompts", "sample_negative", "sample_seed", "sample_steps"):
            del heeded[name]
        return hashlib.sha256(json.dumps([self.kind, heeded], sort_keys=True).encode()).hexdigest()


def written(job: TrainingJob) -> str:
    """All that a training was told, as TOML; `read_config` takes it back."""
    lines = ["# clickpaint train", f"kind = {_toml(job.kind)}", f"data = {_toml(job.data)}", f"checkpoint = {_toml(job.checkpoint)}"]
    lines.append("")
    for name, value in job.settings.values(job.kind).items():
        lines += [f"# {SETTING_FIELDS[name].metadata['help']}", f"{name} = {_toml(value)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)


def read_config(file: Path) -> dict[str, Any]:
    """What a TOML file of `written` says, by name. Raises `InvalidInput`: it is not there, or no TOML."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("{file} cannot be read.", "Give a file that a training has written.", file=file) from error
    try:
        return _loads(text)
    except ValueError as error:
        raise InvalidInput("{file} is no TOML: {reason}.", "Correct it there.", file=file.name, reason=str(error).rstrip(".")) from error


def _loads(text: str) -> dict[str, Any]:
    try:
        import tomllib as reader  # from Python 3.11
    except ImportError:
        from pip._vendor import tomli as reader  # which every Python has with its pip
    return reader.loads(text)


def write_config(job: TrainingJob) -> Path:
    """Write the TOML beside the result; returns where. Raises `InvalidInput`."""
    target = job.output.with_suffix(".toml")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(written(job), encoding="utf-8", newline="\n")
    except OSError as error:
        raise cannot_write(target, error) from error
    return target
