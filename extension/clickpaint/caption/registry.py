"""Which captioners, text models, CLIPs, finders, taggers and classifiers there are here, and which one is meant by "auto"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.caption import tags
from clickpaint.caption.local import KINDS, LocalModel, local_models
from clickpaint.errors import InvalidInput, ModelMissing, NotFound

if TYPE_CHECKING:
    from clickpaint.caption.base import Captioner
    from clickpaint.caption.caption_refinement import TextModel
    from clickpaint.caption.classifier import Classifier
    from clickpaint.caption.clip import Clip
    from clickpaint.caption.finding import Finder
    from clickpaint.caption.hosted import CaptionFunction
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device
    from clickpaint.weights.store import Store

HOST, SINGLE = "host", "blip"
"""The names of the host's own captioner, and of the catalog's."""
_SINGLE_FILE = "salesforce_blip"
_VOCABULARY = "blip_vocabulary"
_ORDER = ("vision_language", "florence2", "blip2", "git", "blip", HOST, _SINGLE_FILE, "blip_vqa", "describe_anything")
"""Of families, the best captions first; what the host has loaded goes before a second copy of the same."""
_CAPTIONS = frozenset(_ORDER) - {"blip_vqa"}
_ANSWERS = frozenset({"vision_language", "blip2", "blip_vqa"})
_GET_ONE = "Download BLIP in the list of models, or put a captioner's folder into models/captioner."


@dataclass(frozen=True)
class CaptionerInfo:
    """A captioner as a list shows it.

    Attributes:
        name: of its folder, or one of the built-in ones.
        title: for people.
        family: of its architecture ("blip", "florence2").
        captions: whether it says what a crop shows.
        answers: whether it answers questions about one.
        available: whether it would work now.
        reason: why it would not.
    """

    name: str
    title: str
    family: str
    captions: bool
    answers: bool
    available: bool
    reason: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What of the host is needed here.

    Attributes:
        folders: by the kind of models in them.
        device: on which to compute now.
        setting: by its key.
        caption: `Host.caption`.
        silent: why it cannot now, as a sentence; "" if it can, None where the host has no captioner.
    """

    folders: Callable[[str], list[Path]]
    device: Callable[[], Device]
    setting: Callable[[str], Any]
    caption: CaptionFunction
    silent: Callable[[], str | None]


class Captioners:
    """Hands out everything that works with words. Models are named by their folders; nothing takes a path."""

    def __init__(self, here: Surroundings, store: Store, cache: ModelCache) -> None:
        self._here, self._store, self._cache = here, store, cache

    def listed(self) -> list[CaptionerInfo]:
        """All captioners, the one that "auto" means first among those that can caption."""
        captioners = [_info(model.name, model.name, model.family, model.reason) for model in self._local("captioner")]
        reason = self._here.silent()
        if reason is not None:
            captioners.append(_info(HOST, "BLIP of the web UI", HOST, reason))
        state = self._store.state(SINGLE)
        captioners.append(_info(SINGLE, "BLIP base", _SINGLE_FILE, "" if state.state == "present" else state.reason))
        return sorted(captioners, key=lambda captioner: (not captioner.available, _ORDER.index(captioner.family)))

    def captioner(self, name: str | None = None) -> Captioner:
        """The captioner of that name (None: the setting's; "auto": the first that is available).

        Raises:
            NotFound: there is none of that name.
            ModelMissing: it cannot be used, or there is none at all.
        """
        return self._made(
            self._named(name or str(self._here.setting("captioner")), [captioner for captioner in self.listed() if captioner.captions])
        )

    def answerer(self, name: str | None = None) -> Captioner | None:
        """One that answers questions; None where there is none. Raises `NotFound`, `ModelMissing` for one that was named."""
        known = [captioner for captioner in self.listed() if captioner.answers]
        if name is None:
            name = str(self._here.setting("captioner"))
            if name not in [captioner.name for captioner in known if captioner.available]:
                name = "auto"
        if name == "auto" and not any(captioner.available for captioner in known):
            return None
        return self._made(self._named(name, known))

    def text_model(self) -> TextModel | None:
        """The one behind the address in the settings, otherwise one from a folder; None where there is neither. Raises `InvalidInput`."""
        setting = self._here.setting
        if setting("text_model_url"):
            from clickpaint.caption.endpoint import Endpoint

            return Endpoint(
                setting("text_model_url"), setting("text_model_key"), setting("text_model_name"), setting("text_model_sees"),
                setting("text_model_seconds"),
            )  # fmt: skip
        model = self._usable("text")
        if model is None:
            return None
        from clickpaint.caption.local_text_model import LocalTextModel

        return LocalTextModel(model.name, model.path, self._here.device(), self._cache)

    def clip(self) -> Clip | None:
        model = self._usable("clip")
        if model is None:
            return None
        from clickpaint.caption.clip import Clip

        return Clip(model.name, model.path, self._here.device(), self._cache)

    def classifier(self) -> Classifier | None:
        model = self._usable("classifier")
        if model is None:
            return None
        from clickpaint.caption.classifier import Classifier

        return Classifier(model.name, model.path, self._here.device(), self._cache)

    def finder(self) -> Finder | None:
        model = self._usable("finder", ("sam3", "grounding_dino", "clipseg"))
        if model is None:
            return None
        from clickpaint.caption.finding import Finder

        return Finder(model.name, model.family, model.path, self._here.device(), self._cache)

    def tagger(self) -> tags.Tagger | None:
        model = self._usable("tagger")
        return None if model is None or tags.unavailable() else tags.Tagger(model.name, model.path, self._cache)

    def _local(self, role: str) -> list[LocalModel]:
        folders = [folder for kind in KINDS for folder in self._here.folders(kind)]
        return [model for model in local_models(dict.fromkeys(folders)) if model.role == role]

    def _usable(self, role: str, order: tuple[str, ...] = ()) -> LocalModel | None:
        models = [model for model in self._local(role) if not model.reason]
        return min(models, key=lambda model: order.index(model.family) if order else 0, default=None)

    def _named(self, name: str, known: list[CaptionerInfo]) -> CaptionerInfo:
        if name == "auto":
            if not any(captioner.available for captioner in known):
                raise ModelMissing("There is no captioner here.", _GET_ONE)
            return known[0]
        captioner = next((captioner for captioner in known if captioner.name == name), None)
        if captioner is None:
            raise NotFound(
                "There is no captioner {name!r} for this.",
                "Choose one of auto, {known}.",
                name=name,
                known=", ".join(captioner.name for captioner in known),
            )
        if not captioner.available:
            raise ModelMissing("{title} cannot be used: {reason}", _GET_ONE, captioner=name, title=captioner.title, reason=captioner.reason)
        return captioner

    def _made(self, info: CaptionerInfo) -> Captioner:
        device = self._here.device()
        if info.family == HOST:
            from clickpaint.caption.hosted import HostCaptioner

            return HostCaptioner(self._here.caption)
        from clickpaint.caption import blip, transformer

        if info.family == _SINGLE_FILE:
            file, vocabulary = self._store.require(f"{SINGLE}_base"), self._store.require(_VOCABULARY)
            return blip.Blip(SINGLE, file.parent, device, self._cache, lambda progress: blip.from_single_file(file, vocabulary, device))
        kinds = {
            "blip": blip.Blip, "blip_vqa": blip.BlipVqa, "blip2": transformer.Blip2, "git": transformer.Git,
            "florence2": transformer.Florence2, "vision_language": transformer.VisionLanguage,
        }  # fmt: skip
        path = next(model.path for model in self._local("captioner") if model.name == info.name)
        return kinds[info.family](info.name, path, device, self._cache)


def _info(name: str, title: str, family: str, reason: str = "") -> CaptionerInfo:
    return CaptionerInfo(name, title, family, family in _CAPTIONS, family in _ANSWERS, not reason, reason)


def no_answers() -> InvalidInput:
    """Why no question can be answered here."""
    return InvalidInput(
        "Nothing here can answer questions.",
        "Put BLIP-VQA or a chat model with eyes (SmolVLM, Qwen-VL) into models/captioner, or set a text model in the settings.",
    )
