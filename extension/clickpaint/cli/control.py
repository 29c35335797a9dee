"""`control`: make control maps."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.cli.files import Place, for_each, write
from clickpaint.cli.options import add_command, add_picture_options, check_one_selection, selected, studio_of
from clickpaint.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.control.map_options import Layer
    from clickpaint.studio.studio import Studio


def add_commands(commands: Any) -> None:
    parser = add_command(commands, "control", make_maps, "make control maps: edges, lines, depth, poses, …")
    add_picture_options(parser, "MAP.png", "where the map goes, or the folder for maps; beside the picture by default", optional=True)
    parser.add_argument("--list", action="store_true", help="list the preprocessors, their parameters, and whether they can run here")
    parser.add_argument(
        "--preprocessor", action="append", default=[], metavar="NAME", help="its name or label; several are blended: NAME or NAME=WEIGHT"
    )
    parser.add_argument("--set", action="append", default=[], metavar="PARAM=VALUE", help="a parameter, of every preprocessor that has it")
    parser.add_argument("--resolution", type=int, metavar="N", help="length of the short side at which the picture is looked at")
    parser.add_argument("--pixel-perfect", action="store_true", help="the resolution that gives one pixel of map for each pixel")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for preprocessors that draw random numbers (%(default)s)")
    parser.add_argument("--blend", default="lighten", metavar="HOW", help="lighten, average or add (%(default)s)")
    parser.add_argument(
        "--mask", type=Path, metavar="FILE", help="the object, for a map of it only; or, as --point and --box, where to inpaint"
    )
    parser.add_argument(
        "--background", default="black", metavar="WHAT", help="what is around a map of an object only: black, or kept for the picture"
    )
    parser.add_argument("--fit", metavar="WxH", help="bring the map to this size")
    parser.add_argument(
        "--resize-mode",
        default="Crop and Resize",
        metavar="MODE",
        help="how it is brought there: Just Resize, Crop and Resize (default), Resize and Fill",
    )


def make_maps(options: argparse.Namespace) -> int:
    studio = studio_of(options)
    if options.list:
        return _list(studio)
    if options.image is None:
        raise InvalidInput("There is no picture.", "Name one, or --list the preprocessors.")
    from clickpaint.control import registry
    from clickpaint.control.map_options import MapOptions

    layers = _layers(options)
    pointed = bool(options.mask or options.point or options.box)
    check_one_selection(options)
    of_object = pointed and not any(registry.info(layer.preprocessor).needs_mask for layer in layers)
    map_options = MapOptions(layers, options.blend, options.background if of_object else "", _fit(options), options.pixel_perfect)

    def work(file: Path, place: Place) -> str:
        from clickpaint.image import picture_files
        from clickpaint.image.picture import from_pixels

        if place.ending != ".png":
            raise InvalidInput(
                "A map cannot be written to {file}.", "Maps are PNG files: give it a name that ends in .png.", file=place.path.name
            )
        picture = studio.decode(file.read_bytes())
        mask = selected(options, studio, file, picture).mask if pointed else None
        made = studio.control_maps.detect_picture(picture, map_options, mask)
        write(place.path, picture_files.encode(from_pixels(*_parts(made.pixels)), "PNG"))
        if made.extra:
            write(place.beside(".json"), json.dumps(made.extra, indent=1).encode())
        height, width = made.pixels.shape[:2]
        return f"{' and '.join(layer.preprocessor for layer in layers)}, {width} x {height} pixels"

    return for_each(options, studio, "map", lambda file: ".png", work)


def _layers(options: argparse.Namespace) -> tuple[Layer, ...]:
    from clickpaint.control import registry
    from clickpaint.control.map_options import Layer

    if not options.preprocessor:
        raise InvalidInput("There is no preprocessor.", "Give --preprocessor NAME; --list names them.")
    values = dict(_assignment(text) for text in options.set)
    layers = []
    for text in options.preprocessor:
        name, _, weight = text.partition("=")
        known = {parameter.key for parameter in registry.info(name).parameters}
        own = {key: value for key, value in values.items() if key in known}
        layers.append(Layer(name, own, options.resolution, options.seed, _number(weight, "weight") if weight else 1.0))
    used = {key for layer in layers for key in layer.values}
    for key in values:
        if key not in used:
            registry.request(layers[0].preprocessor, {key: values[key]})  # raises the error that names the parameters there are
    return tuple(layers)


def _parts(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and alpha."""
    return pixels[..., :3].copy(), pixels[..., 3].copy() if pixels.shape[2] == 4 else None


def _fit(options: argparse.Namespace) -> Any:
    from clickpaint.control.map_options import Fit

    if options.fit is None:
        return None
    width, _, height = options.fit.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InvalidInput("The size {size!r} cannot be read.", "Give it as WIDTHxHEIGHT.", size=options.fit)
    return Fit(int(width), int(height), options.resize_mode)


def _assignment(text: str) -> tuple[str, float]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput("--set {text} cannot be read.", "Give it as PARAM=VALUE.", text=text)
    return key.strip(), _number(value, key)


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput("The {what} {text!r} is not a number.", "Give one, as 0.5.", what=what, text=text) from None


def _list(studio: Studio) -> int:
    for preprocessor in studio.control_maps.list():
        info = preprocessor.info
        parameters = ", ".join(f"{each.key} {each.minimum:g}..{each.maximum:g}={each.default:g}" for each in info.parameters)
        also = "" if info.label == info.name else f" [{info.label}]"
        print(f"{info.name}{also}  {'/'.join(info.types)}  {parameters}".rstrip())
        if not preprocessor.available:
            print(f"    {preprocessor.reason}")
    return 0
