"""What the web UI raises, in words for the user of the page: its own reason, without what only developers can read."""

from __future__ import annotations

import re

from clickpaint.errors import ClickpaintError, HostFailed, HostUnsupported, OutOfMemory, Sentence

_LONGEST = 240
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FOLDERS = re.compile(r"(?<![\w\\/.])(?:[A-Za-z]:)?(?:[\\/][^\s\\/:'\"]+)*[\\/](?=[^\s\\/:'\"]+)")
_FOR_DEVELOPERS = re.compile(
    r"\b(?:CUDA kernel errors might|For debugging consider|Compile with `?TORCH|To execute this test|Search for `|If you believe this"
    r"|Traceback \(most recent call last\)|weights_only|File \"|See https?:|Please (?:report|file|open) (?:a|an|this))"
)
_OWN_FAULTS = (AttributeError, NameError, NotImplementedError)
"""Kinds of exceptions whose text names variables of a program."""


def explained(error: Exception) -> Exception:
    """`error` where its text is meant for users, else one that is and that names the web UI's reason.

    Args:
        error: what the web UI, or an extension in it, raised while it painted.
    """
    from clickpaint.weights.device import out_of_memory

    if isinstance(error, ClickpaintError):
        return error
    if out_of_memory(error):
        return OutOfMemory(
            "The device ran out of memory while painting.", "Paint at a lower resolution, select less, or start the web UI with --medvram."
        )
    if type(error).__name__ == "NansException":
        return HostUnsupported(
            "The checkpoint gave a black picture (NaN).", "Start the web UI with --no-half-vae or --upcast-sampling, or choose another VAE."
        )
    return HostFailed(
        "The web UI could not paint this: {reason}", "Try another checkpoint, sampler or size; its log has the details.",
        reason=reason(error),
    )  # fmt: skip


def reason(error: BaseException) -> str:
    """What an exception says, as one short sentence with its full stop.

    Folders are left out of the names of files, as are colours of a terminal and sentences that libraries address to programmers. Of an
    exception that says nothing, or names only a program's variables, the kind is told.
    """
    kind = type(error).__name__
    if isinstance(error, _OWN_FAULTS):
        return Sentence("an error in its program ({kind}).", kind=kind)
    lines = [" ".join(line.split()) for line in _ANSI.sub("", str(error)).splitlines()]
    lines = [line for line in lines if line]
    text = lines[0] if lines else ""
    if text.endswith(":") and len(lines) > 1:
        text = f"{text} {lines[1]}"
    cut = _FOR_DEVELOPERS.search(text)
    text = _FOLDERS.sub("", text[: cut.start()] if cut else text).strip()
    if isinstance(error, KeyError):
        text = f"{text} is missing" if text else ""
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rpartition(" ")[0] + " …"
    if not text:
        return Sentence("{kind}, without a reason.", kind=kind)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
