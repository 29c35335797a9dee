"""Painting with a stand-in for the host: what is kept bit for bit, what is asked of the host, and at which size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.soft_edge import SoftEdge
from clickpaint.paint.context import context, plan
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.in_picture import PaintedCanvas, paint, refining
from clickpaint.paint.infotext import own_fields
from clickpaint.paint.paint_job import ControlUnit, Painted, PaintJob, PaintOptions


class FakeHost:
    """Paints everything, inside the hole and outside, in one colour per result, and remembers what it was asked."""

    def __init__(self) -> None:
        self.jobs: list[PaintJob] = []

    def __call__(self, job, progress) -> list[Painted]:
        self.jobs.append(job)
        progress.report(1.0, "painted")
        return [Painted(np.full_like(job.pixels, 10 + 20 * i), job.seed + i, "info") for i in range(job.count)]


def whole(canvas: PaintedCanvas) -> np.ndarray:
    """The picture with the first result."""
    return next(canvas.pictures())


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 256, (height, width, 3), dtype=np.uint8)


def disc(width: int, height: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (x - width // 2) ** 2 + (y - height // 2) ** 2 <= radius**2


@settings(deadline=None, max_examples=25)
@given(st.integers(9, 90), st.integers(9, 90), st.floats(1, 20), st.integers(0, 6), st.integers(0, 9), st.sampled_from(["fill", "remove"]))
def test_fill_changes_nothing_outside_and_everything_inside(width, height, radius, grow, feather, task):
    pixels, mask = picture(width, height), disc(width, height, radius)
    before = pixels.copy()
    host = FakeHost()
    painted = whole(paint(pixels, mask, grouped(task=task, grow=grow, feather=feather), host, native=64))
    from clickpaint.image import blend

    outside = ~blend.hole(mask, grow, feather)
    assert np.array_equal(pixels, before)
    assert np.array_equal(painted[outside], before[outside])
    assert (painted[mask] == 10).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(9, 90), st.integers(9, 90), st.floats(1, 5), st.integers(0, 9))
def test_replace_keeps_the_object_bit_for_bit(width, height, radius, feather):
    pixels, mask = picture(width, height), disc(width, height, radius)
    painted = whole(paint(pixels, mask, grouped(task="replace", feather=feather), FakeHost(), native=64))
    assert np.array_equal(painted[mask], pixels[mask])
    from clickpaint.image.mask import grow

    assert (painted[~grow(mask, feather + 1)] == 10).all()


def test_what_the_edge_was_is_known_and_stands_in_the_infotext():
    host = FakeHost()
    canvas = paint(picture(64, 48), disc(64, 48, 9), grouped(feather=2), host, native=64)
    assert canvas.edge == SoftEdge(1, 2)
    fields = own_fields(host.jobs[0])
    assert (fields["Clickpaint grow"], fields["Clickpaint feather"]) == ("1", "2")


def test_expand_adds_the_margins_and_keeps_the_picture():
    pixels = picture(64, 48)
    host = FakeHost()
    painted = whole(paint(pixels, None, grouped(task="expand", expand=(16, 0, 0, 8), grow=0, feather=4), host, native=64))
    assert painted.shape == (56, 80, 3)
    assert np.array_equal(painted[:44, 20:], pixels[:44, 4:])
    assert (painted[:, :16] == 10).all()
    assert (painted[48:] == 10).all()
    assert host.jobs[0].mask[:, :10].all()


def test_every_result_has_its_own_seed_and_its_own_pixels():
    canvas = paint(picture(64, 64), disc(64, 64, 9), grouped(seed=5, batch_count=3), FakeHost(), native=64)
    assert [result.seed for result in canvas.results] == [5, 6, 7]
    assert [int(painted[32, 32, 0]) for painted in canvas.pictures()] == [10, 30, 50]
    assert np.array_equal(canvas.pixels, picture(64, 64)) and np.array_equal(canvas.mask, disc(64, 64, 9))


def test_of_a_result_only_its_part_of_the_picture_is_kept():
    pixels = picture(400, 300)
    canvas = paint(pixels, disc(400, 300, 9), grouped(batch_count=2), FakeHost(), native=64)
    for result, painted in zip(canvas.results, canvas.pictures(), strict=True):
        assert result.pixels.shape == (result.box.height, result.box.width, 3) and result.box.area < 300 * 400 / 4
        elsewhere = np.ones((300, 400), bool)
        elsewhere[result.box.slices] = False
        assert np.array_equal(painted[result.box.slices], result.pixels) and np.array_equal(painted[elsewhere], pixels[elsewhere])


def test_a_random_seed_is_drawn_once_and_told():
    host = FakeHost()
    result = paint(picture(64, 64), disc(64, 64, 9), PaintOptions(), host, native=64).results[0]
    assert host.jobs[0].seed == result.seed >= 0


def test_a_large_area_is_painted_twice_and_the_second_time_at_its_own_size():
    host = FakeHost()
    paint(picture(400, 400), disc(400, 400, 150), PaintOptions(), host, native=64)
    first, second = host.jobs
    assert first.width * first.height <= 64 * 64 * 1.3
    assert (second.width, second.height) == (400, 400)
    assert second.masked_content == "original"
    assert second.strength == PaintOptions().passes.refine_strength
    assert np.array_equal(second.pixels[~second.mask], picture(400, 400)[~second.mask])  # the original around, not the enlarged result
    assert (second.pixels[second.mask] == 10).all()


def test_a_small_area_is_enlarged_to_what_the_model_knows():
    host = FakeHost()
    paint(picture(300, 300), disc(300, 300, 6), PaintOptions(), host, native=512)
    assert len(host.jobs) == 1
    assert host.jobs[0].width * host.jobs[0].height >= 0.9 * 512 * 512


def test_erased_starts_from_the_erasers_result():
    host = FakeHost()
    options = grouped(masked_content="erased", grow=0, feather=0)
    with pytest.raises(InvalidInput, match="eraser"):
        paint(picture(64, 64), disc(64, 64, 9), options, host, native=64)

    def erase(pixels, mask, progress):
        return np.where(mask[..., None], np.uint8(77), pixels)

    paint(picture(64, 64), disc(64, 64, 9), options, host, native=64, erase=erase)
    assert host.jobs[-1].masked_content == "original"
    assert (host.jobs[-1].pixels[32, 32] == 77).all()


def test_nothing_selected_and_everything_selected():
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        paint(picture(32, 32), np.zeros((32, 32), bool), PaintOptions(), FakeHost(), native=64)
    with pytest.raises(InvalidInput, match="nothing to paint"):
        paint(picture(32, 32), np.ones((32, 32), bool), grouped(task="replace"), FakeHost(), native=64)
    with pytest.raises(InvalidInput, match="mask is"):
        paint(picture(32, 32), np.ones((31, 32), bool), PaintOptions(), FakeHost(), native=64)


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "paint"}, {"masked_content": "noise"}, {"steps": 0}, {"cfg_scale": float("nan")}, {"denoising_strength": 1.5},
        {"batch_count": 0}, {"seed": -2}, {"task": "expand"}, {"expand": (-1, 0, 0, 0)}, {"clip_skip": 0}, {"resolution": 5000},
    ],
)  # fmt: skip
def test_wrong_options_are_refused(wrong):
    with pytest.raises(InvalidInput):
        grouped(**wrong)


def test_refining_keeps_what_the_result_shows():
    host = FakeHost()
    options = refining(grouped(denoising_strength=1.0, batch_count=4, refine_strength=0.3), 128)
    paint(picture(64, 64), disc(64, 64, 9), options, host, native=64)
    job = host.jobs[0]
    assert (job.masked_content, job.strength, job.count) == ("original", 0.3, 1)
    assert job.width * job.height == 128 * 128


@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_the_context_holds_the_mask_and_lies_in_the_picture(width, height, data):
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    box = Box(left, top, right, bottom)
    around = context(box, (width, height), 512)
    assert around.contains(box)
    assert Box(0, 0, width, height).contains(around)
    where = plan(box, (width, height), 512)
    assert all(side % 8 == 0 and side > 0 for side in where.first)
    assert where.second is None or where.second[0] * where.second[1] > where.first[0] * where.first[1]


def test_a_crop_near_the_models_size_is_not_scaled():
    assert plan(Box(0, 0, 600, 600), (600, 600), 512, whole=True).first == (600, 600)


def test_a_finished_map_is_cut_like_the_picture():
    host = FakeHost()
    y, x = np.mgrid[:300, :400]
    pixels, mask = np.dstack([x // 2, y // 2, x * 0]).astype(np.uint8), disc(400, 300, 20)
    units = (ControlUnit("none", "a", map=pixels), ControlUnit("canny", "b"), ControlUnit("none", "c", map=pixels[::2, ::2]))
    paint(pixels, mask, grouped(control=units, grow=0, feather=0, masked_content="original"), host, native=64)
    (job,) = host.jobs
    exact, none, half = job.maps
    assert none is None and exact is not None and half is not None
    assert np.array_equal(exact, job.pixels) and half.shape == exact.shape
    assert np.abs(half.astype(int) - exact).max() <= 2  # the same place, from half the resolution


def test_a_finished_map_leaves_what_is_added_to_the_prompt():
    host = FakeHost()
    pixels = picture(64, 64)
    options = grouped(task="expand", expand=(8, 0, 16, 24), control=(ControlUnit("none", "a", map=pixels),), refine=True, resolution=64)
    paint(pixels, None, options, host, native=64)
    assert [job.maps[0].shape == job.pixels.shape for job in host.jobs if job.maps[0] is not None] == [True, True]
    second = host.jobs[1].maps[0]
    assert second is not None and second.shape == (88, 88, 3)
    assert np.array_equal(second[:64, 8:72], pixels) and not second[64:].any() and not second[:, :8].any() and not second[:, 72:].any()
