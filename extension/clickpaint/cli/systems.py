"""`animate`, `enlarge` and `systems`: what has files of its own, beside the checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from clickpaint.cli.files import Outputs, existing, place_for, printable, with_bar
from clickpaint.cli.options import add_command, add_host_options, studio_of
from clickpaint.cli.painting import add_number
from clickpaint.paint import flat_options


def add_commands(commands: Any) -> None:
    animate = add_command(commands, "animate", animate_picture, "make a clip that begins with a picture (Stable Video Diffusion)")
    animate.add_argument("picture", type=Path, metavar="PICTURE")
    animate.add_argument("-o", "--output", metavar="OUT", help="a GIF, a video or a folder (PICTURE_animated.gif beside it)")
    animate.add_argument("--system", default="auto", metavar="NAME", help="its folder in models/diffusers (%(default)s)")
    animate.add_argument("--frames", type=int, default=14, metavar="N", help="how many (%(default)d)")
    animate.add_argument("--fps", type=float, default=7.0, metavar="N", help="frames a second (%(default)g)")
    animate.add_argument("--motion", type=int, default=127, metavar="N", help="how much moves, 1 to 255 (%(default)d)")
    for name, help in (
        ("steps", "denoising steps"),
        ("cfg_scale", "likeness to the picture; 0: 3"),
        ("seed", "-1 for a random one"),
    ):
        add_number(animate, name, help)
    add_host_options(animate)
    enlarge = add_command(commands, "enlarge", enlarge_picture, "make a picture four times as large (latent diffusion's super-resolution)")
    enlarge.add_argument("picture", type=Path, metavar="PICTURE")
    enlarge.add_argument("-o", "--output", metavar="OUT", help="a picture (PICTURE_enlarged beside it)")
    enlarge.add_argument("--system", default="auto", metavar="NAME", help="its folder in models/diffusers (%(default)s)")
    add_number(enlarge, "steps", "denoising steps")
    add_number(enlarge, "seed", "-1 for a random one")
    add_host_options(enlarge)
    listed = add_command(commands, "systems", list_systems, "list the systems in models/diffusers, and what each is for")
    add_host_options(listed)


def animate_picture(options: argparse.Namespace) -> int:
    from clickpaint.video.clip_writing import check_target, check_writable, write_clip
    from clickpaint.video.new_clip import NewClip, check_rate

    check_rate(options.fps)
    file = existing(options.picture)
    target = Path(options.output) if options.output else file.with_name(f"{file.stem}_animated.gif")
    check_target(target, [file])
    check_writable(target)
    studio = studio_of(options)
    picture = studio.decode(file.read_bytes())
    wish = flat_options.grouped(steps=options.steps, cfg_scale=options.cfg_scale, seed=options.seed)
    made = with_bar(studio, lambda: studio.generation.animate(picture, wish, options.system, options.frames, options.fps, options.motion))
    write_clip(target, made.frames, NewClip(made.frames, options.fps))
    print(f"{printable(str(target))}: {len(made.frames)} frames, seed {made.seed}")
    return 0


def enlarge_picture(options: argparse.Namespace) -> int:
    file = existing(options.picture)
    place = place_for(options.output, file.stem, file.suffix, Outputs([file]), file, "_enlarged")
    format = place.format
    studio = studio_of(options)
    picture = studio.decode(file.read_bytes())
    wish = flat_options.grouped(steps=options.steps, seed=options.seed)
    made = with_bar(studio, lambda: studio.generation.enlarge(picture, wish, options.system))
    place.write([studio.encode(made.pictures[0], format)])
    print(f"{printable(str(place.path))}: {made.pictures[0].width} × {made.pictures[0].height}, seed {made.seeds[0]}")
    return 0


def list_systems(options: argparse.Namespace) -> int:
    studio = studio_of(options)
    systems = studio.systems.listed()
    for system in systems:
        kind, state = system.kind, str(system.reason) or ", ".join(system.kind.tasks)
        size = f"{system.nbytes / 1e6:.0f} MB, weights under {kind.licence}"
        print(f"{printable(system.name)}: {kind.title} ({kind.paper}), {kind.gives}; {size}: {state}")
    if not systems:
        print("There is none. Put a folder as diffusers saves it into models/diffusers.")
    return 0
