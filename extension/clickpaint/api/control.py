"""The routes of control maps: ours, and those of sd-webui-controlnet under another base path."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Response

from clickpaint.api import control_schemas as schemas
from clickpaint.api import translate
from clickpaint.api.encode import PRIVATE, answer, rgb_png
from clickpaint.api.error_responses import Unprocessable
from clickpaint.api.schemas import StateAnswer
from clickpaint.control import registry
from clickpaint.control.base import RESOLUTION, Parameter, Preprocessor, Request
from clickpaint.control.map_options import Fit, Layer, MapOptions
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.studio.control_maps import PreprocessorListing, WorkspaceMap
from clickpaint.studio.studio import Studio

_VERSION = 3
"""Of sd-webui-controlnet's API."""
_UNITS = 3
_MOST_IMAGES = 32


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["control maps"]
    maps = studio.control_maps

    @router.get("/control/preprocessors", tags=tags, summary="Every preprocessor", response_model=schemas.PreprocessorsAnswer)
    def preprocessors() -> Response:
        return answer({"preprocessors": [_listing(listing) for listing in maps.list()], "types": registry.types()})

    @router.post("/workspaces/{id}/control", tags=tags, summary="A control map of what is open", response_model=schemas.MapAnswer)
    def make(id: str, body: schemas.MapBody) -> Response:
        workspace = studio.workspace(id)
        with _unprocessable():
            return answer(_map(maps.detect(workspace, _options(body))))

    @router.post("/workspaces/{id}/control/pose", tags=tags, summary="A control map of given poses", response_model=schemas.MapAnswer)
    def pose(id: str, body: schemas.PoseBody) -> Response:
        """`extra` has them as they then are, in pixels of the map."""
        workspace = studio.workspace(id)
        with _unprocessable():
            return answer(_map(maps.pose(workspace, body.poses, body.parts)))

    @router.get(
        "/workspaces/{id}/control/{map}",
        tags=tags,
        summary="One of the last maps",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}},
    )
    def shown(id: str, map: str) -> Response:
        return Response(rgb_png(maps.made(studio.workspace(id), map).map.pixels), 200, PRIVATE, "image/png")

    @router.post("/workspaces/{id}/control/{map}/keep", tags=tags, summary="Lay a map over the picture", response_model=StateAnswer)
    def keep(id: str, map: str, body: schemas.KeepBody | None = None, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        with _unprocessable():
            state = maps.keep(workspace, map, body.opacity if body else 1.0)
            return answer(translate.position(workspace, state=state, side=side))

    @router.post("/workspaces/{id}/control/{map}/select", tags=tags, summary="Select by a map", response_model=StateAnswer)
    def select(id: str, map: str, body: schemas.SelectByMapBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        with _unprocessable():
            state = maps.select(workspace, map, brightness=body.brightness, color=body.color, tolerance=body.tolerance, mode=body.mode)
            return answer(translate.position(workspace, state=state, side=side))

    @router.post("/control/detect", tags=tags, summary="As POST /controlnet/detect", response_model=schemas.DetectAnswer)
    def detect(body: schemas.DetectBody) -> Response:
        """The fields of sd-webui-controlnet. A value out of range means the default; `seed` and `controlnet_threshold_c` are ours."""
        with _unprocessable():
            return answer(_detected(studio, body))

    @router.get("/control/version", tags=tags, summary="As GET /controlnet/version", response_model=dict[str, int])
    def version() -> Response:
        return answer({"version": _VERSION})

    @router.get("/control/settings", tags=tags, summary="As GET /controlnet/settings", response_model=dict[str, int])
    def settings() -> Response:
        return answer({"control_net_unit_count": _UNITS})

    @router.get("/control/model_list", tags=tags, summary="As GET /controlnet/model_list", response_model=dict[str, list[str]])
    def model_list() -> Response:
        return answer({"model_list": studio.host.control_names()[1]})

    @router.get("/control/module_list", tags=tags, summary="As GET /controlnet/module_list", response_model=schemas.ModulesAnswer)
    def module_list(alias_names: bool = False) -> Response:
        by_name = {preprocessor.label if alias_names else preprocessor.name: preprocessor for preprocessor in registry.ordered()}
        details = {
            name: {
                "model_free": preprocessor.returns == "unchanged" and preprocessor.name != "none",
                "sliders": [_slider(slider) for slider in _sliders(preprocessor)],
            }
            for name, preprocessor in by_name.items()
        }
        return answer({"module_list": [*by_name], "module_detail": details})

    @router.get("/control/control_types", tags=tags, summary="As GET /controlnet/control_types", response_model=schemas.TypesAnswer)
    def control_types() -> Response:
        models = ["None", *(name for name in studio.host.control_names()[1] if name != "None")]
        types = {"All": _type([preprocessor.label for preprocessor in registry.ordered()], models, "none", "None")}
        for name in registry.types():
            labels = [preprocessor.label for preprocessor in registry.of_type(name)]
            patterns = registry.model_patterns(name)
            fitting = ["None", *(model for model in models[1:] if any(pattern in model.lower() for pattern in patterns))]
            default = next((model for model in fitting[1:] if "11" in model.partition("[")[0]), fitting[min(1, len(fitting) - 1)])
            types[name] = _type(labels, fitting if len(fitting) > 1 else models, labels[min(1, len(labels) - 1)], default)
        return answer({"control_types": types})


@contextmanager
def _unprocessable() -> Iterator[None]:
    """What sd-webui-controlnet's clients expect for a name or a value that does not exist: 422."""
    try:
        yield
    except InvalidInput as error:
        if type(error) is not InvalidInput:
            raise
        raise Unprocessable(error.message, error.remedy, **error.data) from error


def _options(body: schemas.MapBody) -> MapOptions:
    layers = tuple(Layer(layer.preprocessor, layer.values, layer.resolution, layer.seed, layer.weight) for layer in body.layers)
    fit = None if body.fit is None else Fit(body.fit.width, body.fit.height, body.fit.mode)
    return MapOptions(layers, body.blend, body.background if body.object_only else "", fit, body.pixel_perfect)


def _map(made: WorkspaceMap) -> dict[str, Any]:
    height, width = made.map.pixels.shape[:2]
    answered: dict[str, Any] = {
        "map": made.id, "width": width, "height": height, "milliseconds": round(made.milliseconds, 1), "extra": dict(made.map.extra),
    }  # fmt: skip
    if made.map.embedding is not None:
        answered["embedding"] = _npy(made.map.embedding)
    return answered


def _listing(listing: PreprocessorListing) -> dict[str, Any]:
    info = listing.info
    return {
        "name": info.name, "label": info.label, "aliases": list(info.aliases), "types": list(info.types),
        "parameters": [_parameter(parameter) for parameter in info.parameters],
        "resolution": None if info.resolution is None else {**_parameter(RESOLUTION), "default": info.resolution},
        "needs_mask": info.needs_mask, "returns": info.returns, "control_models": list(info.control_models),
        "available": listing.available, "runs": listing.runs, "reason": listing.reason,
        "models": [{"name": name, "state": state} for name, state in listing.models],
    }  # fmt: skip


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "key": parameter.key, "label": parameter.label, "minimum": parameter.minimum, "maximum": parameter.maximum,
        "step": parameter.step, "default": parameter.default,
    }  # fmt: skip


def _sliders(preprocessor: Preprocessor) -> list[Parameter]:
    """As sd-webui-controlnet orders them: the resolution first, then the thresholds a, b and c."""
    if preprocessor.resolution is None:
        return [*preprocessor.parameters]
    return [Parameter(RESOLUTION.key, RESOLUTION.label, RESOLUTION.minimum, RESOLUTION.maximum, RESOLUTION.step, preprocessor.resolution),
            *preprocessor.parameters]  # fmt: skip


def _slider(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.label, "value": parameter.default, "min": parameter.minimum, "max": parameter.maximum, "step": parameter.step}


def _type(modules: list[str], models: list[str], option: str, model: str) -> dict[str, Any]:
    return {"module_list": modules, "model_list": models, "default_option": option, "default_model": model}


def _detected(studio: Studio, body: schemas.DetectBody) -> dict[str, Any]:
    preprocessor = registry.info(body.controlnet_module)
    registry.check_available(preprocessor.name)
    images, given = body.controlnet_input_images, body.controlnet_masks
    if not 1 <= len(images) <= _MOST_IMAGES:
        raise InvalidInput(
            "There are {count} images.", "Give 1 to {limit} in controlnet_input_images.", count=len(images), limit=_MOST_IMAGES
        )
    if preprocessor.needs_mask and len(given) != len(images):
        raise InvalidInput("The preprocessor {name} needs a mask for each image.", "Give them in controlnet_masks.", name=preprocessor.name)
    answered: dict[str, Any] = {"info": "Success"}
    for index, image in enumerate(images):
        picture = studio.decode(translate.picture_bytes(image))
        mask = None
        if preprocessor.accepts_mask and index < len(given):
            mask = masks.from_file(translate.picture_bytes(given[index]), picture.size)
        made = studio.control_maps.detect_request(picture, preprocessor.name, _lenient(preprocessor, body, mask))
        if made.embedding is not None:
            answered.setdefault("embeddings", []).append(_npy(made.embedding))
        else:
            answered.setdefault("images", []).append(base64.b64encode(rgb_png(made.pixels)).decode("ascii"))
        if "poses" in made.extra:
            answered.setdefault("poses", []).append(made.extra["poses"])
    return answered


def _lenient(preprocessor: Preprocessor, body: schemas.DetectBody, mask: np.ndarray | None) -> Request:
    """A value out of range means the default, as sd-webui-controlnet has it: -1 is how its clients leave one out."""
    given = (body.controlnet_threshold_a, body.controlnet_threshold_b, body.controlnet_threshold_c)
    values = {parameter.key: value for parameter, value in zip(preprocessor.parameters, given, strict=False) if parameter.allows(value)}
    resolution = body.controlnet_processor_res if RESOLUTION.allows(body.controlnet_processor_res) else None
    return registry.request(preprocessor.name, values, resolution, mask, body.seed)


def _npy(values: np.ndarray) -> str:
    """An array as a NumPy file (.npy) in base64."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode("ascii")
