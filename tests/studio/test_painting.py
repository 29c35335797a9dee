"""Painting, choosing and refining in a workspace, through the studio and over REST, on a host that paints one grey per seed."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from starlette.testclient import TestClient

from clickpaint.api.access import LocalGate
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.model_family import ModelFamily
from clickpaint.image.mask import bounds, grow
from clickpaint.image.picture_files import decode
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.segment.base import Point, Prompts
from clickpaint.session.selection import Adjustment
from clickpaint.studio.queue import BACKGROUND
from tests.toys.routes import app_of
from tests.toys.studio import array_of, file_of, pixels, toy_studio


@pytest.fixture
def studio(tmp_path):
    made = toy_studio(tmp_path)
    made.toy.can_paint = True
    yield made
    made.shut_down()


@pytest.fixture
def workspace(studio):
    opened = studio.open(file_of(pixels()), "toy.png")
    studio.selecting.select(opened, Prompts((Point(30, 20),)))
    return opened


def selected(workspace):
    return workspace.state.selection.mask


def test_fill_shows_the_first_result_and_keeps_the_others(studio, workspace):
    mask = selected(workspace)
    gallery = studio.painting.paint(workspace, grouped(prompt="a cat", seed=50, batch_count=3, grow=0, feather=2))
    shown = workspace.picture().pixels
    assert (shown[mask] == 50).all()
    assert np.array_equal(shown[~grow(mask, 2)], pixels()[~grow(mask, 2)])
    assert [one.seed for one in gallery.results] == [50, 51, 52]
    assert [seed for _, _, _, seed, _ in studio.toy.kept] == [50, 51, 52]
    assert studio.toy.kept[0][2] == "a cat"
    assert np.array_equal(selected(workspace), mask)  # so that the same can be painted once more


def test_what_was_painted_is_encoded_ahead(studio, workspace):
    studio.painting.paint(workspace, grouped(seed=50, batch_count=2))
    studio.clicks.run(studio.tasks.start("select"), lambda progress: None, BACKGROUND)  # behind all that waits there
    studio.painting.use(workspace, 1)
    studio.clicks.run(studio.tasks.start("select"), lambda progress: None, BACKGROUND)
    before = len(studio.segmenter.encoded)
    assert before == 3  # as it came in, and each result
    studio.selecting.select(workspace, Prompts((Point(2, 2),)))
    assert len(studio.segmenter.encoded) == before


def sprite(hole: bool) -> tuple[np.ndarray, np.ndarray]:
    """(a picture with alpha, uint8 [H, W, 4]; where it is transparent): all but a square, or that square."""
    inside = np.zeros(pixels().shape[:2], bool)
    inside[12:28, 20:40] = True
    clear = inside if hole else ~inside
    return np.dstack([pixels(), np.where(clear, 0, 255).astype(np.uint8)]), clear


def test_what_is_painted_where_nothing_was_is_seen_taken_and_undone(studio):
    image, clear = sprite(hole=True)
    workspace = studio.open(file_of(image), "sprite.png")
    studio.selecting.adjust(workspace, [Adjustment("transparent")])
    assert np.array_equal(selected(workspace), clear)
    studio.painting.paint(workspace, grouped(seed=50, batch_count=2, grow=0, feather=4))
    for version, grey in ((None, 50), (None, 51)):
        shown = workspace.picture(version)
        assert shown.alpha is not None and (shown.alpha == 255).all() and (shown.pixels[clear] == grey).all()
        assert np.array_equal(shown.pixels[~grow(clear, 4)], image[..., :3][~grow(clear, 4)])
        studio.painting.use(workspace, 1)
    for _ in range(3):
        studio.undo(workspace)
    assert np.array_equal(workspace.picture().alpha, image[..., 3]) and np.array_equal(workspace.picture().pixels, image[..., :3])
    studio.redo(workspace)
    assert (workspace.picture().alpha == 255).all()


def test_paint_beside_a_sprite_mixes_with_no_hidden_colour(studio):
    image, clear = sprite(hole=False)
    result = studio.painting.paint_picture(decode(file_of(image)), clear, grouped(seed=50, grow=0, feather=0)).pictures[0]
    assert result.alpha is not None and (result.alpha == 255).all() and (result.pixels[clear] == 50).all()
    margins = grouped(task="expand", expand=(8, 8, 8, 8), seed=50)
    wider = studio.painting.paint_picture(decode(file_of(image)), None, margins).pictures[0]
    assert wider.alpha is not None and (wider.alpha[:8] == 255).all() and (wider.pixels[:8] == 50).all()
    again = decode(studio.encode(wider))
    assert again.alpha is not None and np.array_equal(again.alpha, wider.alpha)


def test_what_is_removed_from_a_sprite_leaves_nothing(studio):
    image, clear = sprite(hole=False)
    workspace = studio.open(file_of(image), "sprite.png")
    studio.selecting.adjust(workspace, [Adjustment("transparent"), Adjustment("invert")])
    studio.erasing.erase(workspace, grow=2, feather=0)
    assert (workspace.picture().alpha == 0).all()
    studio.undo(workspace)
    assert np.array_equal(workspace.picture().alpha, image[..., 3])
    result = studio.erasing.erase_picture(decode(file_of(image)), ~clear, grow=2, feather=0).picture
    assert result.alpha is not None and (result.alpha == 0).all()


def test_another_result_can_be_taken_and_undone(studio, workspace):
    mask = selected(workspace)
    studio.painting.paint(workspace, grouped(seed=50, batch_count=2))
    studio.painting.use(workspace, 1)
    assert (workspace.picture().pixels[mask] == 51).all()
    studio.undo(workspace)
    assert (workspace.picture().pixels[mask] == 50).all()
    studio.undo(workspace)
    assert np.array_equal(workspace.picture().pixels, pixels())
    with pytest.raises(InvalidInput, match="no result 2"):
        studio.painting.use(workspace, 2)


def test_replace_keeps_the_object(studio, workspace):
    mask = selected(workspace)
    studio.painting.paint(workspace, grouped(task="replace", seed=9))
    shown = workspace.picture().pixels
    assert np.array_equal(shown[mask], pixels()[mask])
    assert (shown[0] == 9).all()


def test_expand_makes_the_picture_larger_and_undo_smaller_again(studio, workspace):
    studio.painting.paint(workspace, grouped(task="expand", expand=(10, 0, 20, 5), seed=3, grow=0, feather=0))
    assert workspace.size == (90, 45)
    assert np.array_equal(workspace.picture().pixels[:40, 10:70], pixels())
    studio.selecting.select(workspace, Prompts((Point(89, 44),)))  # beyond the old borders
    studio.erasing.erase(workspace)
    assert workspace.size == (90, 45)
    for _ in range(3):
        studio.undo(workspace)
    assert workspace.size == (60, 40)
    assert np.array_equal(workspace.picture().pixels, pixels())


def test_refining_starts_from_the_result_and_joins_the_results(studio):
    workspace = studio.open(file_of(pixels(600, 400)), "toy.png")
    studio.selecting.select(workspace, Prompts((Point(300, 200),)))
    studio.painting.paint(workspace, grouped(seed=50, batch_count=2, refine=False))
    gallery = studio.painting.refine(workspace, 1, grouped(seed=70, batch_count=4, refine_strength=0.3))
    assert [one.seed for one in gallery.results] == [50, 51, 70]
    job = studio.toy.jobs[-1]
    assert (job.masked_content, job.strength, job.count) == ("original", 0.3, 1)
    assert (job.pixels[job.height // 2, job.width // 2] == 51).all()
    first, refined = (one.width * one.height for one in studio.toy.jobs)
    assert first < 80 * 80 < refined < 140 * 140  # native is 64, and twice that is as far as it goes


def test_refining_paints_no_larger_than_the_picture_is(studio, workspace):
    studio.painting.paint(workspace, grouped(seed=50))
    studio.painting.refine(workspace, 0, PaintOptions())
    first, refined = (one.width * one.height for one in studio.toy.jobs)
    assert first == refined


def test_erased_starts_from_what_the_eraser_leaves(studio, workspace):
    studio.painting.paint(workspace, grouped(masked_content="erased"))
    job = studio.toy.jobs[-1]
    assert (job.pixels[job.height // 2, job.width // 2] == 7).all()


def test_a_model_that_edits_is_told_to_remove_within_a_band_that_can_grow(studio, workspace):
    host, before = studio.toy, workspace.picture().pixels
    left, top, right, bottom = bounds(selected(workspace))
    studio.painting.paint(workspace, grouped(task="remove", seed=5))
    assert host.jobs[-1].options.task == "remove", "a model that edits nothing fills the place"
    workspace.undo()
    host.family = ModelFamily("Flux.2 Klein", instructs=True, anew=True)
    with pytest.raises(InvalidInput, match="told"):
        host.family = ModelFamily("Flux")
        studio.painting.paint(workspace, grouped(task="remove", engine="instruct"))
    host.family = ModelFamily("Flux.2 Klein", instructs=True, anew=True)
    for task, again in (("instruct", True), ("fill", False)):
        with studio.painting._sampler(grouped(task=task)) as sampler:
            assert sampler.anew == again  # what the web UI gives back is brought into register where it is the whole picture anew
    lora = host.folder / "Lora/klein-object-remover.safetensors"
    for edge in ({}, {"grow": 2, "feather": 3}):
        gallery = studio.painting.paint(workspace, grouped(task="remove", seed=5, **edge))
        options, changed = host.jobs[-1].options, (workspace.picture().pixels != before).any(axis=-1)
        assert options.task == "instruct" and "shadow" in options.prompt.positive and workspace.state.label == "Remove"
        assert ("<lora:klein-object-remover:1>" in options.prompt.positive) == lora.exists()
        reach = gallery.edge.grow + gallery.edge.feather
        assert reach == (5 if edge else 2 * round(0.15 * np.hypot(right - left, bottom - top)))
        assert not changed[~grow(selected(workspace), reach)].any() and changed[selected(workspace)].all()
        workspace.undo()
        lora.parent.mkdir(exist_ok=True)
        lora.touch()
    studio.painting.paint(workspace, grouped(task="remove", prompt="Take the ball away"))
    assert host.jobs[-1].options.prompt.positive == "Take the ball away"


def test_what_cannot_be_painted_is_said_before_anything_is_done(studio, workspace):
    studio.toy.can_paint = False
    with pytest.raises(HostUnsupported, match="toy host cannot paint"):
        studio.painting.paint(workspace, PaintOptions())
    studio.toy.can_paint = True
    empty = studio.open(file_of(pixels()), "toy.png")
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        studio.painting.paint(empty, PaintOptions())
    with pytest.raises(InvalidInput, match="no result 0"):
        studio.painting.refine(workspace, 0, PaintOptions())
    assert studio.toy.jobs == []


def test_a_click_elsewhere_is_answered_while_the_host_paints(studio, workspace):
    """On a host with room for it, a click does not wait for the generation under way."""
    from contextlib import nullcontext

    studio.clicks._exclusive = nullcontext
    painting, goes_on = threading.Event(), threading.Event()

    def hold(progress):
        painting.set()
        goes_on.wait(60)

    studio.toy.before_painting = hold
    painter = threading.Thread(target=studio.painting.paint, args=(workspace, PaintOptions()))
    painter.start()
    assert painting.wait(60)
    other = studio.open(file_of(pixels()), "other.png")
    assert studio.selecting.select(other, Prompts((Point(30, 20),))).candidates[0].mask.any()
    assert painter.is_alive()
    goes_on.set()
    painter.join(60)


def test_interrupting_leaves_the_picture_as_it_was(studio, workspace):
    painting = threading.Event()

    def hold(progress):
        painting.set()
        while True:
            progress.check()

    studio.toy.before_painting = hold
    errors = []

    def work():
        try:
            studio.painting.paint(workspace, PaintOptions())
        except Exception as error:
            errors.append(type(error).__name__)

    painter = threading.Thread(target=work)
    painter.start()
    assert painting.wait(60)
    assert studio.interrupt(workspace.id) == 1
    painter.join(60)
    assert errors == ["Interrupted"]
    assert np.array_equal(workspace.picture().pixels, pixels())
    assert workspace.results == ()


@pytest.fixture
def client(studio):
    with app_of(studio, LocalGate()) as app, TestClient(app, base_url="http://localhost") as client:
        yield client


def test_over_rest(studio, client):
    v1 = "/clickpaint/v1"
    id = client.post(f"{v1}/workspaces", files={"file": ("a.png", file_of(pixels()))}).json()["id"]
    client.post(f"{v1}/workspaces/{id}/select", json={"points": [{"x": 30, "y": 20}]})
    body = {"task": "fill", "prompt": "a cat", "seed": 4_000_000_000, "batch_count": 2, "grow": 0, "feather": 0}
    painted = client.post(f"{v1}/workspaces/{id}/paint", json=body)
    assert painted.status_code == 200, painted.text
    answer = painted.json()
    assert (answer["width"], answer["height"], answer["version"]) == (60, 40, 1)
    assert [one["seed"] for one in answer["results"]] == [4_000_000_000, 4_000_000_001]
    left, top, right, bottom = answer["results"][1]["box"]
    crop = array_of(client.get(f"{v1}/workspaces/{id}/results/1").content)
    assert crop.shape == (bottom - top, right - left, 3)
    assert client.post(f"{v1}/workspaces/{id}/results/1/use").json()["version"] == 2
    shown = array_of(client.get(f"{v1}/workspaces/{id}/image").content)
    assert np.array_equal(shown[top:bottom, left:right], crop)
    assert client.post(f"{v1}/workspaces/{id}/results/0/refine", json=body).json()["results"][2]["index"] == 2
    assert client.get(f"{v1}/workspaces/{id}/preview").status_code == 204  # nothing is being painted
    grown = client.post(f"{v1}/workspaces/{id}/paint", json={"task": "expand", "expand": [8, 8, 8, 8]}).json()
    assert (grown["width"], grown["height"]) == (76, 56)
    for wrong in (
        {"task": "x"},
        {"steps": 0},
        {"expand": [1]},
        {"task": "expand"},
        {"seed": -7},
        {"control": [{"model": "m", "weight": 9}]},
    ):
        answered = client.post(f"{v1}/workspaces/{id}/paint", json=wrong)
        assert answered.status_code in (400, 422), (wrong, answered.text)
        assert answered.json()["message"]
    for wrong in ("9", "-1", "x", "99999999999"):
        assert client.get(f"{v1}/workspaces/{id}/results/{wrong}").status_code == 404
        assert client.post(f"{v1}/workspaces/{id}/results/{wrong}/use").status_code in (400, 404)
