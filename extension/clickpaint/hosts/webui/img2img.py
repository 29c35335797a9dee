"""Painting through the web UI's own img2img, on the checkpoint, LoRAs and VAE that it has loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.errors import HostFailed, HostUnsupported, Interrupted, OutOfMemory
from clickpaint.hosts.model_family import Preset
from clickpaint.hosts.webui import failures, image_stitch, model_state, within
from clickpaint.hosts.webui.loaded_family import family_of, preset_for
from clickpaint.hosts.webui.probe import accepted, begin_job, flavor, loaded_model, sampler_names
from clickpaint.hosts.webui.runner import runner_for
from clickpaint.paint.acting import ModelTraits, idle_by_model, refuse_idle
from clickpaint.paint.infotext import own_fields
from clickpaint.paint.paint_job import ModelOptions, Painted, PaintJob, PaintOptions
from clickpaint.progress import Progress

_FILL = {"fill": 0, "original": 1, "latent noise": 2, "latent nothing": 3}
_POLL_SECONDS = 0.1
_FOREIGN_OUTPUTS = dict.fromkeys(("return_mask", "return_mask_composite", "save_mask", "save_mask_composite", "save_init_img"), False)
"""Options that would mix other pictures into the results of a generation, or save what is not the user's."""


def paint(job: PaintJob, progress: Progress) -> list[Painted]:
    """Paint one job through `process_images`, as a job of its own. The caller holds the web UI's queue lock.

    Raises:
        HostUnsupported: no checkpoint, an unknown sampler, a script that is not installed.
        Interrupted: the user asked to stop, here or with the web UI's own button.
        OutOfMemory: the web UI's device ran out of memory.
    """
    _ready()  # which model it is, is known only then
    _check_acting(job.options)
    return _painted(job, lambda p: _under_way(progress, job))


def paint_within(generation: Any, job: PaintJob, progress: Progress) -> list[Painted]:
    """As `paint`, from a script's callback in the middle of `generation`, which goes on afterwards as if nothing had happened.

    Skip means this job alone and not the generation; Interrupt both.
    """

    from modules import shared

    @contextmanager
    def around(p: Any) -> Iterator[None]:
        p.cached_c, p.cached_uc = [None, None], [None, None]  # those of the class are the generation's
        with within.inside(generation):
            yield
            if shared.state.skipped:
                raise Interrupted()

    progress.check()
    return _painted(job, around)


def _painted(job: PaintJob, around: Callable[[Any], AbstractContextManager[None]]) -> list[Painted]:
    from modules import processing, shared

    _ready()  # which family it is, is known only then
    runner, arguments = runner_for(job)
    parameters, kind = _parameters(job), processing.StableDiffusionProcessingImg2Img
    with (
        within.options_kept(list(parameters["override_settings"])),
        closing(kind(**accepted(kind, parameters))) as p,
    ):
        p.is_api = True  # scripts must not take values of the page's widgets
        p.scripts = runner
        p.script_args = arguments
        # the history of prompts (params.txt) is that of the page's own generations
        quiet = within.replaced(shared.cmd_opts, "no_prompt_history", True)
        with around(p), model_state.kept(p), image_stitch.checked(runner), quiet:
            try:
                processed = processing.process_images(p)
            except Exception as error:
                # ControlNet takes itself off the model here, and the web UI only comes here after a success
                runner.postprocess(p, processing.Processed(p, []))
                explained = failures.explained(error)
                if explained is error:
                    raise
                raise explained from error
            if shared.state.interrupted:
                raise Interrupted()
    pictures = processed.images[processed.index_of_first_image :][: job.count]
    if not pictures:  # the web UI was asked to stop after the picture before
        raise Interrupted()
    infotexts, seeds = processed.infotexts[processed.index_of_first_image :], processed.all_seeds
    return [
        Painted(
            np.asarray(picture.convert("RGB")),
            int(seeds[i]) if i < len(seeds) else job.seed + i,
            infotexts[i] if i < len(infotexts) else "",
        )
        for i, picture in enumerate(pictures)
    ]


def preview() -> Image.Image | None:
    """The picture of the generation under way as it looks now, if the user lets the web UI make previews."""
    from modules import shared

    shared.state.set_current_image()
    return shared.state.current_image


def _check_acting(options: PaintOptions) -> None:
    """Raise `InvalidInput` where something is set that changes nothing in an img2img of the loaded model."""
    model = loaded_model()
    family = None if model is None else family_of(model)
    scale = options.sampling.cfg_scale or (Preset() if family is None else preset_for(family)).cfg_scale
    negative = scale != 1 or " AND " in options.prompt.positive
    traits = replace(
        ModelTraits(schedules=flavor().schedulers) if family is None else family.traits(flavor().schedulers), negative=negative
    )
    idle = {*idle_by_model(traits), *(("soft_inpainting",) if options.task == "instruct" else ())}
    if not flavor().distilled:
        idle.add("distilled_cfg_scale")
    if options.sampling.cfg_scale:  # who sets it to 1 has switched the negative prompt off, and programs send theirs with every request
        idle.discard("negative_prompt")
    refuse_idle(options, idle, f"{'the model' if family is None else family.name} ({flavor().name})")


def _parameters(job: PaintJob) -> dict[str, Any]:
    """Arguments of `StableDiffusionProcessingImg2Img`: the whole crop at its own size, so that the host neither crops nor scales."""
    from modules import shared

    options, model = job.options, loaded_model()
    instructed = options.task == "instruct"
    preset = Preset() if model is None else preset_for(family_of(model))
    parameters: dict[str, Any] = {
        "sd_model": shared.sd_model,
        "outpath_samples": shared.opts.outdir_samples or shared.opts.outdir_img2img_samples,
        "outpath_grids": shared.opts.outdir_grids or shared.opts.outdir_img2img_grids,
        "prompt": options.prompt.positive,
        "negative_prompt": options.prompt.negative,
        "styles": list(options.prompt.styles),
        "seed": job.seed,
        "sampler_name": _sampler(options.sampling.sampler or preset.sampler),
        "batch_size": 1,
        "n_iter": job.count,
        "steps": options.sampling.steps,
        "cfg_scale": options.sampling.cfg_scale or preset.cfg_scale,
        "width": job.width,
        "height": job.height,
        "init_images": [Image.fromarray(job.pixels)],
        "mask": None if instructed else Image.fromarray(np.rint((job.mask if job.soft is None else job.soft) * 255.0).astype(np.uint8)),
        "mask_blur": 0,  # our own band is blended afterwards, at the picture's resolution
        "inpainting_fill": _FILL[job.masked_content],
        "inpaint_full_res": False,
        "resize_mode": 0,
        "denoising_strength": 1.0 if instructed else job.strength,  # an edit model starts from noise and looks at the picture beside
        "do_not_save_samples": True,
        "do_not_save_grid": True,
        "override_settings": _overrides(options.model),
        "override_settings_restore_afterwards": True,
        "extra_generation_params": own_fields(job),  # the web UI's own fields say the rest
    }
    if flavor().schedulers:  # without one, the web UI warns in its log that it takes this
        parameters["scheduler"] = _scheduler(options.sampling.scheduler or preset.scheduler or "Automatic")
    distilled = options.sampling.distilled_cfg_scale or preset.distilled_cfg_scale
    if distilled and flavor().distilled:
        parameters["distilled_cfg_scale"] = distilled
    return parameters


def _overrides(options: ModelOptions) -> dict[str, Any]:
    """Options for this generation, without those that have their value already: a web UI may be started with its settings frozen."""
    from modules import shared

    wanted: dict[str, Any] = {**_FOREIGN_OUTPUTS}
    if options.clip_skip is not None:
        wanted["CLIP_stop_at_last_layers"] = options.clip_skip
    if options.vae is not None:
        wanted.update(_vae(options.vae))
    if options.token_merging_ratio is not None:
        wanted["token_merging_ratio"] = options.token_merging_ratio
        wanted["token_merging_ratio_img2img"] = options.token_merging_ratio  # goes before the other where it is not 0
    return {key: value for key, value in wanted.items() if getattr(shared.opts, key, value) != value}


def _vae(name: str) -> dict[str, Any]:
    if not flavor().forge:
        from modules import sd_vae

        if name not in ("Automatic", "None") and name not in sd_vae.vae_dict:
            raise HostUnsupported(
                "This web UI has no VAE {name!r}.",
                "Choose one of Automatic, None, {vaes}.",
                name=name,
                vaes=", ".join(sd_vae.vae_dict),
            )
        return {"sd_vae": name}
    from modules_forge import main_entry

    if name in ("Automatic", "None"):  # the checkpoint's own
        return {"forge_additional_modules": []}
    if name not in main_entry.module_list:
        raise HostUnsupported(
            "This web UI has no VAE {name!r}.",
            "Choose one of Automatic, {vaes}.",
            name=name,
            vaes=", ".join(main_entry.module_list),
        )
    return {"forge_additional_modules": [main_entry.module_list[name]]}


def _sampler(name: str) -> str:
    from modules import sd_samplers

    if not name:
        return sampler_names()[0]
    if name not in sd_samplers.all_samplers_map:
        raise HostUnsupported(
            "This web UI has no sampler {name!r}.", "Choose one of {samplers}.", name=name, samplers=", ".join(sampler_names())
        )
    return name


def _scheduler(name: str) -> str:
    from modules import sd_schedulers

    if name not in sd_schedulers.schedulers_map:  # by label and by name
        labels = ", ".join(scheduler.label for scheduler in sd_schedulers.schedulers)
        raise HostUnsupported("This web UI has no scheduler {name!r}.", "Choose one of {schedulers}.", name=name, schedulers=labels)
    return name


def _ready() -> None:
    """Make sure that a checkpoint is loaded; both web UIs load it only when it is first asked for."""
    from modules import sd_models, shared

    if not sd_models.checkpoints_list:
        raise HostUnsupported("The web UI has no checkpoint.", "Put a Stable Diffusion checkpoint into its models/Stable-diffusion folder.")
    if flavor().forge:
        try:  # as process_images would, for what it starts with follows from the model's family
            sd_models.forge_model_reload()
        except Exception as error:
            if isinstance(failures.explained(error), OutOfMemory):
                raise
            raise HostFailed(
                "The web UI could not load its checkpoint: {reason}",
                "Choose another one at the top of the page; its log says what is wrong.",
                reason=failures.reason(error),
            ) from error
        return
    if shared.sd_model is None:
        raise HostUnsupported(
            "The web UI could not load its checkpoint.", "Choose another one at the top of the page; its log says what is wrong."
        )


@contextmanager
def _under_way(progress: Progress, job: PaintJob) -> Iterator[None]:
    """Tell the web UI that a job is under way (its own Interrupt and Skip reach it) and us how far it is."""
    from modules import shared

    begin_job("clickpaint")
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(done, progress, job), name="clickpaint-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        shared.state.end()
        if hasattr(shared, "total_tqdm"):  # SD.Next has none
            shared.total_tqdm.clear()


def _watch(done: threading.Event, progress: Progress, job: PaintJob) -> None:
    from modules import shared

    state = shared.state
    while not done.wait(_POLL_SECONDS):
        steps, jobs = max(state.sampling_steps, 1), max(state.job_count, job.count, 1)
        fraction = (state.job_no + min(state.sampling_step / steps, 1.0)) / jobs
        try:
            progress.report(fraction, "Painting", done=state.job_no * steps + state.sampling_step, total=jobs * steps, unit="step")
        except Interrupted:
            state.interrupt()
            return
