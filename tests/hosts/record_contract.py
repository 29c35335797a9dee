"""Record what the web UI offers to us, as data for the stand-ins: signatures, attributes, fields and defaults.

Run in a web UI's own folder by its own Python, again for every new version of it:

    cd WEBUI; venv/bin/python CHECKOUT/tests/hosts/record_contract.py CHECKOUT/tests/hosts/contracts/NAME.json [launch arguments]
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

NAMES = {
    "modules.call_queue": ["queue_lock"],
    "modules.devices": ["device", "device_interrogate", "dtype", "NansException", "torch_gc"],
    "modules.errors": ["report"],
    "modules.images": ["save_image"],
    "modules.infotext_utils": [
        "ParamBinding", "PasteField", "add_paste_fields", "parse_generation_parameters", "quote", "register_paste_params_button", "unquote",
    ],
    "modules.lowvram": ["module_in_gpu", "send_everything_to_cpu"],
    "modules.paths": ["data_path", "extensions_dir", "models_path", "paths"],
    "modules.paths_internal": ["extensions_dir"],
    "modules.processing": ["Processed", "StableDiffusionProcessing", "StableDiffusionProcessingImg2Img", "process_images"],
    "modules.script_callbacks": ["on_after_component", "on_app_started", "on_before_ui", "on_ui_settings", "on_ui_tabs"],
    "modules.scripts": ["AlwaysVisible", "PostprocessImageArgs", "Script", "ScriptRunner", "scripts_img2img", "scripts_txt2img"],
    "modules.sd_hijack": ["model_hijack"],
    "modules.sd_models": [
        "apply_token_merging", "checkpoint_tiles", "checkpoints_list", "forge_model_reload", "model_data", "send_model_to_device",
    ],
    "modules.sd_samplers": ["all_samplers_map", "visible_sampler_names", "visible_samplers"],
    "modules.sd_schedulers": ["schedulers", "schedulers_map"],
    "modules.sd_vae": ["vae_dict"],
    "modules.shared": ["OptionInfo", "cmd_opts", "demo", "interrogator", "opts", "prompt_styles", "sd_model", "state", "total_tqdm"],
    "modules.ui_components": ["InputAccordion"],
    "modules_forge.main_entry": ["module_list"],
    "modules_forge.shared": ["add_supported_preprocessor", "supported_preprocessors"],
    "modules_forge.supported_preprocessor": ["Preprocessor", "PreprocessorParameter"],
    "scripts.supported_preprocessor": ["Preprocessor", "PreprocessorParameter"],
    "launch": ["run_pip"],
}  # fmt: skip
"""Everything of the web UI, and of sd-webui-controlnet in A1111, that `clickpaint.hosts.webui` uses; what one of them lacks is left out
of its contract."""


def record() -> dict[str, Any]:
    signatures: dict[str, Any] = {}
    for module_name, names in NAMES.items():
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        signatures[module_name] = {name: described(getattr(module, name)) for name in names if hasattr(module, name)}
    return signatures


def described(thing: Any) -> dict[str, Any]:
    """A function, a class, or an instance with its own and its class's attributes. Parameters are written as in a `def`."""
    if inspect.isclass(thing):
        return {"kind": "class", "parameters": parameters(thing), "members": members(thing), **fields(thing)}
    if inspect.isroutine(thing):
        returns = getattr(thing, "__annotations__", {}).get("return")
        named = getattr(returns, "__name__", returns)
        return {"kind": "function", "parameters": parameters(thing), **({"returns": named} if isinstance(named, str) else {})}
    if thing is None or isinstance(thing, (bool, int, float, str, list, tuple, dict)):
        return {"kind": "value", "type": type(thing).__name__, "members": None}
    known = {**members(type(thing)), **dict.fromkeys(getattr(thing, "__dict__", {}))}
    known.update(dict.fromkeys(getattr(thing, "data_labels", {})))  # of the options, which are attributes, too
    return {"kind": "value", "type": type(thing).__name__, "members": known}


def members(kind: type) -> dict[str, str | None]:
    """Name → parameters for methods, None for what is no method; those of the web UI's own classes, also what `self.name = …` makes."""
    versions: dict[str, str | None] = {}
    for one in kind.__mro__[::-1]:
        if not one.__module__.startswith(("modules", "scripts")):
            continue
        versions.update(dict.fromkeys(assigned(inspect.getsource(one), "self")))
        methods = {name: getattr(value, "__func__", value) for name, value in vars(one).items()}  # those of classes, too
        versions.update({name: parameters(value) if inspect.isfunction(value) else None for name, value in methods.items()})
        if one.__name__ == "StableDiffusionProcessing":  # what others hang on it while they work on it
            versions.update(dict.fromkeys(assigned(inspect.getsource(sys.modules[one.__module__]), "p")))
    return {name: value for name, value in versions.items() if not name.startswith("_")}


def assigned(source: str, name: str) -> set[str]:
    """The attributes that a source assigns to what it calls `name`."""
    nodes = ast.walk(ast.parse(textwrap.dedent(source)))
    targets = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    return {node.attr for node in targets if isinstance(node.value, ast.Name) and node.value.id == name}


def fields(kind: type) -> dict[str, Any]:
    if not dataclasses.is_dataclass(kind):
        return {}
    plain = (bool, int, float, str, type(None))
    properties = {name for one in kind.__mro__ for name, value in vars(one).items() if isinstance(value, property)}
    listed = [field for field in dataclasses.fields(kind) if field.name not in properties]
    return {"fields": {field.name: field.default if isinstance(field.default, plain) else None for field in listed}}


def parameters(function: Any) -> str:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "*args, **kwargs"
    bare = [
        one.replace(annotation=inspect.Parameter.empty, default=one.default if one.default is inspect.Parameter.empty else None)
        for one in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))[1:-1]


def boot(arguments: list[str]) -> None:
    """Import the web UI's modules in its own order, without a model and without a page."""
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["launch.py", "--skip-prepare-environment", "--skip-install", "--skip-torch-cuda-test", *arguments]
    importlib.import_module("launch")
    if Path("modules_forge").is_dir():
        initialize = importlib.import_module("modules_forge.initialization").initialize_forge
        timed = inspect.signature(initialize).parameters  # Forge Neo's wants to be handed what takes the time
        initialize(*[importlib.import_module("modules.timer").startup_timer] * len(timed))
    importlib.import_module("modules.initialize").imports()
    importlib.import_module("modules.sd_samplers").set_samplers()
    importlib.import_module("modules.extensions").list_extensions()
    importlib.import_module("modules.scripts").load_scripts()


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    boot(sys.argv[2:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
