"""How the stand-in of a web UI behaves where our code relies on it: as A1111 1.10 and Forge do."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from tests.hosts.standin import FifoLock, bound, painted, signature, strict, takes

if TYPE_CHECKING:
    from tests.hosts.standin import WebUI

SAMPLERS = ("Euler a", "DPM++ 2M")
SCHEDULERS = (("automatic", "Automatic"), ("karras", "Karras"))


def fill(web: WebUI) -> None:
    _shared(web)
    _samplers_and_models(web)
    _scripts(web)
    _processing(web)
    _preprocessors(web)
    web._set("modules.call_queue.queue_lock", FifoLock())
    web._set("modules.devices.device", torch.device("cpu"))
    web._set("modules.devices.dtype", torch.float32)
    web._set("modules.devices.NansException", type("NansException", (Exception,), {}))
    web._set("modules.errors.report", lambda message, *, exc_info=False: web.reported.append(message))
    web._set("modules.images.save_image", lambda image, path, basename, *args, **kwargs: web.saved.append({"path": path, **kwargs}))
    web._set("launch.run_pip", lambda command, desc=None, live=False: web.installed.append(command))
    for name in ("on_after_component", "on_app_started", "on_before_ui", "on_ui_settings", "on_ui_tabs"):
        web._set(f"modules.script_callbacks.{name}", lambda callback, *, name=None, kind=name: web.callbacks.append((kind, callback)))
    web._set("modules.infotext_utils.add_paste_fields", lambda tabname, init_img, fields, *args, **kwargs: None)
    web._set("modules.infotext_utils.register_paste_params_button", lambda binding: None)
    web.modules["modules.ui_components"].InputAccordion = _accordion(web)  # type: ignore[attr-defined]


def _shared(web: WebUI) -> None:
    values = {"interrupted": False, "skipped": False, "stopping_generation": False, "job": "", "job_no": 0, "job_count": 0}
    values |= {"sampling_step": 0, "sampling_steps": 0, "current_latent": None, "current_image": None, "textinfo": None}
    values |= {"current_image_sampling_step": 0, "processing_has_refined_job_count": False}

    def begin(state: Any, job: str = "(unknown)") -> None:
        for name, value in {**values, "job": job, "job_count": -1}.items():
            setattr(state, name, value)

    def end(state: Any) -> None:
        state.job, state.job_count = "", 0

    def next_job(state: Any) -> None:
        state.job_no, state.sampling_step = state.job_no + 1, 0

    methods = {
        "begin": begin, "end": end, "nextjob": next_job, "interrupt": lambda state: setattr(state, "interrupted", True),
        "skip": lambda state: setattr(state, "skipped", True), "stop_generating": lambda state: setattr(state, "stopping_generation", True),
        "set_current_image": lambda state: None,
    }  # fmt: skip
    web._instance("modules.shared.state", methods, **values)

    bars = {"clear": lambda bar: None, "update": lambda bar: None, "reset": lambda bar: None}
    web._instance("modules.shared.total_tqdm", bars)
    plain = {
        "api_auth": None,
        "gradio_auth": None,
        "gradio_auth_path": None,
        "cors_allow_origins": None,
        "cors_allow_origins_regex": None,
        "no_prompt_history": False,
    }
    web._instance("modules.shared.cmd_opts", **plain)
    web._instance("modules.shared.prompt_styles", styles={"Photo": object()})
    _options(web)
    web._set("modules.shared.sd_model", types.SimpleNamespace(is_sd1=True, sd_checkpoint_info=types.SimpleNamespace(title="tiny [abc]")))


def _options(web: WebUI) -> None:
    described = web.contract["modules.shared"]["opts"]

    def add_option(options: Any, key: str, info: Any) -> None:
        options.data_labels[key] = info
        options.data.setdefault(key, info.default)

    def set_option(options: Any, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        options.data[key] = value
        return True

    known = {name for name, parameters in described["members"].items() if parameters is None}

    class Options(strict("Options", described, {"add_option": add_option, "set": set_option})):  # type: ignore[misc]
        data: dict[str, Any]

        def __getattr__(self, name: str) -> Any:
            if name in self.data or name in defaults:
                return self.data.get(name, defaults.get(name))
            if name in known:  # an option of the web UI that no test has set
                return None
            raise AttributeError(f"Options has no {name!r}")

        def __setattr__(self, name: str, value: Any) -> None:
            if name in self.data:
                assert not web.frozen, "changing settings is disabled"
                self.data[name] = value
            else:
                super().__setattr__(name, value)

    options = Options.__new__(Options)
    data = {"return_mask": False, "return_mask_composite": False, "save_mask": False, "save_mask_composite": False, "save_init_img": False}
    data |= {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic", "token_merging_ratio": 0.0, "token_merging_ratio_img2img": 0.0}
    data |= {"outdir_samples": "", "outdir_img2img_samples": "outputs/img2img-images", "outdir_grids": "", "outdir_img2img_grids": "grids"}
    data |= {"samples_save": True, "samples_format": "png", "persistent_cond_cache": True, "grid_only_if_multiple": True}
    data |= {"forge_additional_modules": []} if web.flavor == "forge" else {}
    assert set(data) <= known, set(data) - known
    defaults = dict(data)
    object.__setattr__(options, "data", data)
    object.__setattr__(options, "data_labels", {})
    web._set("modules.shared.opts", options)

    section = web.contract["modules.shared"]["OptionInfo"]

    class OptionInfo(strict("OptionInfo", section, {})):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            taken = signature(section["parameters"]).bind(*args, **kwargs)
            taken.apply_defaults()
            for name, value in taken.arguments.items():
                setattr(self, name, value)

        def info(self, info: str) -> Any:
            return self

    web._set("modules.shared.OptionInfo", OptionInfo)


def _samplers_and_models(web: WebUI) -> None:
    samplers = [types.SimpleNamespace(name=name) for name in SAMPLERS]
    web._set("modules.sd_samplers.all_samplers_map", {one.name: one for one in samplers})
    web._set("modules.sd_samplers.visible_samplers", lambda: samplers)
    web._set("modules.sd_samplers.visible_sampler_names", lambda: list(SAMPLERS))
    schedulers = [types.SimpleNamespace(name=name, label=label) for name, label in SCHEDULERS]
    web._set("modules.sd_schedulers.schedulers", schedulers)
    web._set("modules.sd_schedulers.schedulers_map", {key: one for one in schedulers for key in (one.name, one.label)})
    web._set("modules.sd_models.checkpoints_list", {"tiny [abc]": object()})
    web._set("modules.sd_models.checkpoint_tiles", lambda use_short=False: list(web.sd_models.checkpoints_list))
    web._instance("modules.sd_models.model_data", sd_model=web.shared.sd_model)
    if "forge_model_reload" in web.contract["modules.sd_models"]:
        web._set("modules.sd_models.forge_model_reload", lambda: (web.shared.sd_model, False))
    web._set("modules.sd_models.apply_token_merging", lambda sd_model, token_merging_ratio: web.merged.append(token_merging_ratio))
    web._instance("modules.sd_hijack.model_hijack", {"apply_circular": lambda hijack, enable: web.circular.append(enable)})
    web._set("modules.sd_vae.vae_dict", {"good.safetensors": "models/VAE/good.safetensors"})
    for name in ("data_path", "extensions_dir", "models_path"):
        web._set(f"modules.paths.{name}", f"webui/{name}")
    web._set("modules.paths_internal.extensions_dir", "webui/extensions_dir")
    if web.flavor == "forge":
        web._set("modules_forge.main_entry.module_list", {"good.safetensors": "models/VAE/good.safetensors"})


def _scripts(web: WebUI) -> None:
    """Scripts and their runner; like the real one it reports what a script raises, and goes on."""
    described = web.contract["modules.scripts"]
    nothing = {name: (lambda self, *args, **kwargs: None) for name, parameters in described["Script"]["members"].items() if parameters}
    script = strict("Script", described["Script"], {**nothing, "elem_id": lambda self, item_id: f"script_{item_id}"})
    for name in ("args_from", "args_to", "filename", "infotext_fields", "paste_field_names", "alwayson", "section"):
        setattr(script, name, None)
    web._set("modules.scripts.Script", script)

    def callback(method: str) -> Any:
        def call(runner: Any, p: Any, *middle: Any, **more: Any) -> None:
            for one in runner.alwayson_scripts:
                if not hasattr(one, method):  # of a test, which is not derived from theirs
                    continue
                try:
                    getattr(one, method)(p, *middle, *p.script_args[one.args_from : one.args_to], **more)
                except Exception as error:
                    web.reported.append(f"Error running {method}: {error!r}")

        return call

    methods = {name: callback(name) for name in ("before_process", "process", "postprocess_image", "postprocess_image_after_composite")}
    methods |= {name: callback(name) for name in ("postprocess", "before_process_batch")}
    methods["setup_scrips"] = lambda runner, p, *, is_ui=True: None
    kind = strict("ScriptRunner", described["ScriptRunner"], methods)
    web._set("modules.scripts.ScriptRunner", kind)
    for name in ("scripts_txt2img", "scripts_img2img"):
        runner = kind()
        for member, value in {"inputs": [None], "callback_map": {}, "title_map": {}}.items():
            setattr(runner, member, value)
        for member in ("scripts", "selectable_scripts", "alwayson_scripts", "titles", "infotext_fields", "paste_field_names"):
            setattr(runner, member, [])
        web._set(f"modules.scripts.{name}", runner)


def _processing(web: WebUI) -> None:
    described = web.contract["modules.processing"]["StableDiffusionProcessingImg2Img"]
    fields, parameters = described["fields"], described["parameters"]

    def close(p: Any) -> None:
        web.closed.append(p)
        if not web.shared.opts.persistent_cond_cache:
            kind.cached_c, kind.cached_uc = [None, None], [None, None]

    def comment(p: Any, text: str) -> None:
        p.comments[text] = 1

    class Processing(strict("StableDiffusionProcessing", described, {"close": close, "comment": comment})):  # type: ignore[misc]
        cached_c, cached_uc = [None, None], [None, None]

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            given = signature(parameters).bind(*args, **kwargs).arguments
            blur = given.pop("mask_blur", None)
            given.pop("sd_model", None)
            for name, value in {**fields, **given}.items():
                setattr(self, name, value)
            if blur is not None:
                self.mask_blur_x = self.mask_blur_y = blur
            self.image_mask, self.mask = self.mask, None
            self.comments, self.extra_generation_params = {}, self.extra_generation_params or {}
            self.override_settings, self.styles = self.override_settings or {}, self.styles or []
            self.script_args, self.scripts = {}, None
            self.cached_c, self.cached_uc = kind.cached_c, kind.cached_uc

    result = web.contract["modules.processing"]["Processed"]

    def results(processed: Any, *args: Any, **kwargs: Any) -> None:
        processed.images = signature(result["parameters"]).bind(*args, **kwargs).arguments["images_list"]

    web._set("modules.processing.Processed", strict("Processed", result, {"__init__": results}))
    kind = Processing
    kind.__signature__ = signature(parameters)
    web._set("modules.processing.StableDiffusionProcessingImg2Img", kind)
    web._set("modules.processing.process_images", lambda p: process_images(web, p))


def process_images(web: WebUI, p: Any) -> Any:
    """Settings for the call, then the pictures, then the settings as they were."""
    options = web.shared.opts
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {key: options.data[key] for key in p.override_settings if key in options.data}
    try:
        for key, value in p.override_settings.items():
            assert not web.frozen, "changing settings is disabled"
            options.set(key, value, is_api=True, run_callbacks=False)
        return _pictures(web, p)
    finally:
        for key, value in stored.items() if p.override_settings_restore_afterwards else ():
            setattr(options, key, value)


def _pictures(web: WebUI, p: Any) -> Any:
    state, options, scripts = web.shared.state, web.shared.opts, web.scripts
    web.runs.append(p)
    p.tiling = bool(p.tiling)
    p.all_seeds = [int(p.seed) + i for i in range(p.n_iter)]
    web.seen = dict(options.data)
    web.wrote_history = not web.shared.cmd_opts.no_prompt_history
    p.scripts.process(p)
    images, infotexts = [], []
    if state.job_count == -1:
        state.job_count = p.n_iter
    for n in range(p.n_iter):
        p.iteration = n
        state.skipped = False
        if state.interrupted or state.stopping_generation:
            break
        p.prompts, p.negative_prompts, p.seeds = [p.prompt], [p.negative_prompt], [p.all_seeds[n]]
        p.scripts.before_process_batch(p, batch_number=n, prompts=p.prompts, seeds=p.seeds, subseeds=[])
        p.cached_c[:] = [("conditioned on", p.prompt), object()]
        if p.n_iter > 1:
            state.job = f"Batch {n + 1} out of {p.n_iter}"
        state.sampling_steps = p.steps
        for _ in range(p.steps):
            web.on_step(p)
            if web.failure is not None:
                failure, web.failure = web.failure, None
                raise failure
            if state.interrupted or state.skipped:
                break
            state.sampling_step += 1
            web.shared.total_tqdm.update()
        state.nextjob()
        p.batch_index = 0
        parameters = web.contract["modules.scripts"]["PostprocessImageArgs"]["parameters"]
        given = dict(zip(signature(parameters).parameters, (painted(p, p.all_seeds[n]), n), strict=False))
        pp = scripts.PostprocessImageArgs(**given)
        p.scripts.postprocess_image(p, pp)
        p.scripts.postprocess_image_after_composite(p, pp)
        infotext = ", ".join(f"{key}: {value}" for key, value in p.extra_generation_params.items())
        infotexts.append(f"{p.prompt}\nSteps: {p.steps}, Seed: {p.all_seeds[n]}" + (f", {infotext}" if infotext else ""))
        images.append(pp.image)
        if options.return_mask and p.image_mask is not None:
            images.append(p.image_mask)
    first = 0
    if len(images) > 1 and not p.do_not_save_grid:
        images.insert(0, Image.new("RGB", (4, 4)))
        infotexts.insert(0, "grid")
        first = 1
    values = {"infotexts": infotexts or [p.prompt], "all_seeds": p.all_seeds, "index_of_first_image": first}
    processed = web.processing.Processed(p, images)
    for name, value in values.items():
        setattr(processed, name, value)
    p.scripts.postprocess(p, processed)
    return processed


def _preprocessors(web: WebUI) -> None:
    """The registries of Forge's ControlNet and of sd-webui-controlnet, with one preprocessor each."""
    if web.flavor == "forge":
        shared = web.modules["modules_forge.shared"]
        registry: dict[str, Any] = shared.supported_preprocessors  # type: ignore[attr-defined]
        web._set("modules_forge.shared.add_supported_preprocessor", lambda preprocessor: registry.update({preprocessor.name: preprocessor}))
        parameter = web.modules["modules_forge.supported_preprocessor"].PreprocessorParameter  # type: ignore[attr-defined]
        parameter.__init__ = lambda self, **given: setattr(
            self,
            "gradio_update_kwargs",
            {"minimum": 0.0, "maximum": 1.0, "step": 0.01, "label": "", "value": 0.5, "visible": False, **given},
        )

        def init(self: Any) -> None:
            self.name, self.tags, self.model_filename_filters = "PreprocessorBase", [], []
            self.slider_resolution, self.slider_1, self.slider_2, self.slider_3 = (parameter() for _ in range(4))

        described = web.contract["modules_forge.supported_preprocessor"]["Preprocessor"]
        kind = strict("Preprocessor", described, {"__init__": init})
        web.modules["modules_forge.supported_preprocessor"].Preprocessor = kind  # type: ignore[attr-defined]
        first = kind()
        first.name = "None"
        shared.add_supported_preprocessor(first)  # type: ignore[attr-defined]
        return
    module: Any = web.modules["scripts.supported_preprocessor"]
    by_label: dict[str, Any] = {}
    by_name: dict[str, Any] = {}

    def add(cls: type, p: Any) -> None:
        assert p.name not in by_label and p.name not in by_name, f"{p.name} already registered!"
        by_label[p.name] = by_name[p.name] = p

    def cached_call(self: Any, input_image: Any, *args: Any, **kwargs: Any) -> Any:
        value = self._cached_call(input_image, *args, **kwargs)
        return types.SimpleNamespace(value=value, display_images=[value])

    described = web.contract["scripts.supported_preprocessor"]["Preprocessor"]
    methods = {"__init__": takes(described["parameters"]), "add_supported_preprocessor": add, "cached_call": cached_call}
    kind = strict("Preprocessor", described, methods)
    kind.all_processors, kind.all_processors_by_name = by_label, by_name  # type: ignore[attr-defined]
    for slider in ("slider_resolution", "slider_1", "slider_2", "slider_3"):
        setattr(kind, slider, module.PreprocessorParameter(visible=False))
    module.Preprocessor = kind
    kind.add_supported_preprocessor(kind("none"))  # type: ignore[attr-defined]


def _accordion(web: WebUI) -> Any:
    """Used as `with InputAccordion(…) as checkbox`."""

    @contextmanager
    def make(value: bool, **kwargs: Any) -> Iterator[Any]:
        import gradio as gr

        box = gr.Checkbox(value, label=kwargs.get("label"), elem_id=f"{kwargs.get('elem_id')}-checkbox", visible=False)
        with gr.Accordion(kwargs.get("label"), open=value, elem_id=kwargs.get("elem_id")):
            yield box

    return bound(web.contract["modules.ui_components"]["InputAccordion"]["parameters"], make)
