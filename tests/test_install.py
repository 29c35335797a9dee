"""`install.py`: choosing, installing once, noticing what was broken off. The registry itself is left out: `.ci/run` goes there."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import install

ROOT = Path(__file__).resolve().parents[1]


def test_it_can_be_read_by_old_pythons_and_needs_only_the_standard_library():
    tree = ast.parse((ROOT / "install.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)


def test_an_old_python_is_told_what_is_needed(monkeypatch, capsys):
    monkeypatch.setattr(install, "OLDEST", (99, 0))
    assert install.main(["run"]) == 2
    assert "needs Python 3.10 or newer" in capsys.readouterr().out


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "install.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300)


def test_without_arguments_it_explains_itself():
    result = start()
    assert result.returncode == 0
    assert "install.py run" in result.stdout and "install.py test" in result.stdout
    assert start("nonsense").returncode == 2


def test_a_web_ui_that_runs_it_is_left_alone(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "launch.py").write_text("raise SystemExit('must not be imported')")
    result = start(PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_bad_option_of_run_is_named_before_anything_is_installed(monkeypatch):
    monkeypatch.setattr(install, "prepare", lambda *_: pytest.fail("installs"))
    with pytest.raises(SystemExit):
        install.run(["--prot", "80"])


def test_run_hands_its_options_to_serve_and_keeps_its_own(monkeypatch):
    monkeypatch.setattr(install, "prepare", lambda extras, index: Path(f"/{'+'.join(extras)}/{index}/python"))
    monkeypatch.setattr(install, "hand_over", lambda command: command)
    command = install.run(["--port", "0", "--torch-index", "cpu", "--no-browser"])
    assert command == [str(Path("/app/cpu/python")), "-m", "clickpaint", "serve", "--port", "0", "--no-browser"]
    assert install.run(["--torch-index=cu126", "--host", "::1"])[3:] == ["serve", "--host", "::1"]


def test_tests_run_on_all_processors_and_the_given_arguments_come_last(monkeypatch):
    monkeypatch.setattr(install, "prepare", lambda extras, index: Path("/python"))
    monkeypatch.setattr(install, "prepare_browser", lambda: None)
    monkeypatch.setattr(install, "hand_over", lambda command: command)
    command = install.test(["tests/image", "-k", "mask", "-n0"])
    assert command[:3] == [str(Path("/python")), "-m", "pytest"] and "-n" in command
    assert command[-4:] == ["tests/image", "-k", "mask", "-n0"]


@pytest.mark.parametrize(
    ("cards", "build"),
    [
        ("", None),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", None),
        ("581.29, 8.9\n", "cu130"),
        ("580.65.06, 7.5\n", "cu130"),
        ("560.35.03, 8.6\n", "cu126"),
        ("591.44, 6.1\n", "cu126"),
        ("591.44, 6.1\n591.44, 12.0\n", "cu130"),
        ("572.16, 12.0\n", None),
        ("470.82, 8.6\n", None),
        ("591.44, 3.5\n", None),
    ],
)
def test_the_cuda_build_fits_the_card_and_its_driver(cards, build):
    assert install.cuda_build(cards) == build


@pytest.mark.parametrize(
    ("windows", "cards", "tag"), [(True, "581.29, 8.9", "cu130"), (False, "581.29, 8.9", None), (False, "550.1, 8.0", "cu126")]
)
def test_the_registry_is_used_where_its_torch_has_the_right_cuda(monkeypatch, windows, cards, tag):
    monkeypatch.setattr(install, "WINDOWS", windows)
    monkeypatch.setattr(install, "nvidia_cards", lambda: cards)
    assert install.torch_index_for_machine() == (None if tag is None else install.TORCH_INDEX + tag)


def test_the_torch_index_is_a_name_or_an_address():
    assert install.torch_index_address("rocm6.4").endswith("/rocm6.4")
    assert install.torch_index_address("https://mirror.example/whl") == "https://mirror.example/whl"
    with pytest.raises(install.Problem, match="cpu"):
        install.torch_index_address("../x")


class Environment:
    """`install.prepare` on a folder that stands for an environment, with an installation that only writes down what it did."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.facts = {
            "version": [3, 11],
            "packages": str(folder),
            "extras": {"app": ["torch==1.0"], "test": ["py_test==2.0; python_version >= '3.10'"]},
            "install": {"no-deps": ["Apart.One==3.0"], "constraints": []},
        }
        self.installed: list[tuple[tuple[str, ...], str | None, bool]] = []
        self.fails = False
        monkeypatch.setattr(install, "environment_python", lambda: Path(sys.executable))
        monkeypatch.setattr(install, "probe", lambda _python: self.facts)
        monkeypatch.setattr(install, "install", self.install)

    def install(self, _python, facts, extras, torch_index, *, replace_torch):
        self.installed.append((extras, torch_index, replace_torch))
        for requirement in (*install.listed(facts, extras), *facts["install"]["no-deps"]):
            name, version = re.split("[=;]+", requirement)[:2]
            self.package(name.replace(".", "_"), version)
            if self.fails:
                raise KeyboardInterrupt

    def package(self, name: str, version: str) -> Path:
        folder = self.folder / f"{name}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "RECORD").write_text(f"{folder.name}/METADATA,,\n{folder.name}/RECORD,,\n{name}.py,,\n{name}.pyc,,\n")
        (self.folder / f"{name}.py").write_text("")
        return folder


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Environment:
    return Environment(tmp_path, monkeypatch)


def test_the_second_start_installs_nothing(environment):
    for _ in range(3):
        assert install.prepare(("app",), None) == Path(sys.executable)
    assert environment.installed == [(("app",), None, False)]


def test_tests_bring_their_own_and_the_program_keeps_them(environment):
    for extras in (("app",), ("app", "test"), ("app",), ("app", "test")):
        install.prepare(extras, None)
    assert [extras for extras, *_ in environment.installed] == [("app",), ("app", "test")]


def test_changed_pins_are_installed(environment):
    install.prepare(("app",), None)
    environment.facts["extras"]["app"] = ["torch==1.1"]
    install.prepare(("app",), None)
    assert len(environment.installed) == 2


def test_a_package_that_was_removed_or_replaced_comes_back(environment):
    install.prepare(("app",), None)
    (environment.folder / "torch-1.0.dist-info").rename(environment.folder / "torch-9.9.dist-info")
    install.prepare(("app",), None)
    install.prepare(("app",), None)
    assert len(environment.installed) == 2


def test_packages_of_others_do_not_matter(environment):
    environment.package("other", "1.0")
    install.prepare(("app",), None)
    (environment.folder / "other-1.0.dist-info").rename(environment.folder / "other-2.0.dist-info")
    install.prepare(("app",), None)
    assert len(environment.installed) == 1


def test_another_torch_is_installed_over_the_first_and_remembered(environment):
    for index in (None, "cpu", None, "cpu", "cu126"):
        install.prepare(("app",), index)
    assert [entry[1:] for entry in environment.installed] == [(None, False), ("cpu", True), ("cu126", True)]
    environment.facts["extras"]["app"] = ["torch==1.1"]
    install.prepare(("app",), None)
    assert environment.installed[-1][1] == "cu126", "newer pins must not lose the user's choice"


def test_a_killed_installation_is_noticed_and_half_packages_are_installed_again(environment, capfd):
    environment.fails = True
    with pytest.raises(KeyboardInterrupt):
        install.prepare(("app",), None)
    whole = environment.package("whole", "1.0")
    torn = environment.package("torn", "1.0")
    (environment.folder / "torn.py").unlink()
    without_record = environment.package("begun", "1.0")
    (without_record / "RECORD").unlink()
    environment.fails = False
    install.prepare(("app",), None)
    assert len(environment.installed) == 2
    assert whole.exists() and not torn.exists() and not without_record.exists()
    assert "did not finish" in capfd.readouterr().out
    install.prepare(("app",), None)
    assert len(environment.installed) == 2


def test_a_stamp_that_was_cut_off_counts_as_not_finished(environment):
    install.prepare(("app",), None)
    stamp = environment.folder / "clickpaint-install.json"
    stamp.write_text(stamp.read_text()[:20])
    install.prepare(("app",), None)
    assert len(environment.installed) == 2


def test_pip_is_asked_for_torch_first_from_its_index_and_never_for_another(monkeypatch):
    calls = []
    monkeypatch.setattr(install, "torch_index_for_machine", lambda: install.TORCH_INDEX + "cu130")

    def pip(_python, *arguments):
        calls.append([Path(argument).read_text() if argument.endswith("constraints.txt") else argument for argument in arguments])

    monkeypatch.setattr(install, "pip", pip)
    facts = {
        "extras": {"app": ["torch==1.0", "numpy==2.0"]},
        "install": {"no-deps": ["torchvision==3.0", "timm==4.0"], "constraints": ["six==5.0"]},
    }
    install.install(Path("python"), facts, ("app",), None, replace_torch=False)
    torch, together, apart, own = calls
    assert torch == ["--no-deps", "--index-url", install.TORCH_INDEX + "cu130", "torch==1.0", "torchvision==3.0"]
    assert together[2:] == ["torch==1.0", "numpy==2.0"]
    assert {"torch==1.0", "torchvision==3.0", "six==5.0"} <= set(together[1].splitlines())
    assert apart == ["--no-deps", "torchvision==3.0", "timm==4.0"]
    assert own[:3] == ["--no-deps", "--no-build-isolation", "--editable"]


def test_a_failing_pip_is_a_sentence_that_helps(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(install.Problem, match="next start goes on"):
        install.pip(Path(sys.executable), "--dry-run", "no-such-package-as-this==0.0.0")


def test_the_pins_are_what_is_installed_here():
    requirements = pytest.importorskip("packaging.requirements")
    facts = install.probe(Path(sys.executable))
    here = {install.normal(package.name): package.version for package in importlib.metadata.distributions()}
    constraints = facts["install"]["constraints"]
    wrong = []
    for text in (*install.listed(facts, ("app", "test")), *facts["install"]["no-deps"], *constraints):
        requirement = requirements.Requirement(text)
        version = here.get(install.normal(requirement.name))
        applies = requirement.marker is None or requirement.marker.evaluate()
        not_needed = version is None and text in constraints  # not every system needs all of these
        if applies and not not_needed and not (version and requirement.specifier.contains(version)):
            wrong.append(f"{text}, but {version} is here")
    assert wrong == []


def test_a_web_ui_gets_the_versions_that_the_tests_run_with():
    from clickpaint.hosts.webui.setup import PACKAGES

    facts = install.probe(Path(sys.executable))
    pins = [
        pin.split(";")[0].strip()
        for pin in (*install.listed(facts, ("app",)), *facts["install"]["no-deps"], *facts["install"]["constraints"])
    ]
    older = {"diffusers", "peft", "pillow-heif"}  # A1111's transformers goes with none newer; its Pillow with no newer pillow-heif
    for name, requirement in PACKAGES.items():
        assert install.normal(requirement) == name
        assert (requirement in pins) == (name not in older), f"{requirement} in hosts/webui/setup.py, another version in pyproject.toml"


def test_every_pin_is_exact():
    facts = install.probe(Path(sys.executable))
    everything = (*install.listed(facts, ("app", "test")), *facts["install"]["no-deps"], *facts["install"]["constraints"])
    assert [text for text in everything if not re.match(r"[\w.-]+==[\w.]+(;|$)", text)] == []


def test_an_environment_is_made_and_one_without_pip_is_made_again(tmp_path, capfd):
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    assert not install.works(install.python_in(folder))
    install.make_environment(folder)
    assert install.works(install.python_in(folder))
    assert "virtual environment" in capfd.readouterr().out


def test_a_python_that_cannot_make_environments_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(install.Problem, match=r"ensurepip[\s\S]*apt install python3\.\d+-venv"):
        install.make_environment(tmp_path / "env")


def test_an_active_environment_is_used(tmp_path, monkeypatch):
    python = install.python_in(tmp_path)
    python.parent.mkdir()
    python.write_text("")
    monkeypatch.setattr(install.sys, "prefix", sys.base_prefix)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert install.environment_python() == python


def test_the_continuous_integration_runs_the_same_command_as_people():
    lines = [line.split("<")[0].strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if line][-1] == "python install.py test"


def test_the_probe_reads_the_project_file():
    facts = install.probe(Path(sys.executable))
    assert facts["version"] == list(sys.version_info[:2])
    assert json.dumps(facts["extras"]["app"]).count("torch==") == 1


def test_the_options_of_run_are_known_before_any_package_is_installed():
    code = "import sys; sys.path.insert(0, '.'); import install; print(install.run_parser().parse_args(['--port', '0']).port)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr
