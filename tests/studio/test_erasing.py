"""Removing what is selected, on a studio with a toy eraser."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clickpaint.errors import InvalidInput, OutOfMemory
from clickpaint.image.mask import Stroke
from clickpaint.image.soft_edge import SoftEdge
from clickpaint.session.selection import Adjustment
from tests.toys import shadow_scenes
from tests.toys.session import at, image, opened, red


def test_the_selections_feather_is_the_erasers(studio):
    workspace = opened(studio)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(20, 15, 30, 25)), Adjustment("feather", 5)])
    studio.erasing.erase(workspace, grow=2)
    changed = (workspace.picture().pixels != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    # a feather of 5 fades to nothing at its outer edge
    assert 15 - 7 <= rows[0] < 15 - 3 and 25 + 3 < rows[-1] + 1 <= 25 + 7
    assert 20 - 7 <= columns[0] < 20 - 3


@pytest.mark.parametrize(("asked", "setting", "acts"), [("auto", 3, 1), (None, -1, 1), (None, 3, 3), (0, -1, 0)])
def test_what_grows_is_what_was_asked_for_or_what_fits_the_picture(studio, asked, setting, acts):
    workspace = opened(studio)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(20, 15, 30, 25))])
    studio.toy.settings["erase_grow"] = setting
    erased = studio.erasing.erase(workspace, grow=asked, feather=0)
    changed = (workspace.picture().pixels != image).any(axis=2)
    assert erased.edge == SoftEdge(acts, 0) and np.flatnonzero(changed.any(axis=1))[0] == 15 - acts


@pytest.mark.parametrize(("eraser", "asked", "acts"), [("classic", None, 0.25), ("classic", 0.5, 0.5), ("opencv_ns", None, None)])
def test_the_setting_says_how_much_grain_only_to_erasers_that_can_leave_it_out(studio, monkeypatch, eraser, asked, acts):
    workspace = opened(studio)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(20, 15, 30, 25))])
    studio.toy.settings["erase_grain"] = 0.25
    seen = []
    monkeypatch.setattr(studio.eraser, "erase", lambda pixels, mask, options, progress: seen.append(options.grain) or pixels.copy())
    studio.erasing.erase(workspace, eraser, grain=asked)
    studio.erasing.erase_picture(workspace.picture(), np.zeros(image.shape[:2], bool), eraser, grain=asked)
    assert seen == [acts, acts]


def test_erasing_needs_a_selection(studio):
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        studio.erasing.erase(opened(studio))


def test_memory_that_runs_out_is_freed_and_the_work_tried_again(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    left = [1]

    def short(progress):
        if left[0]:
            left[0] -= 1
            raise MemoryError("CUDA out of memory")

    studio.eraser.before = short
    studio.erasing.erase(workspace)
    assert left == [0] and workspace.state.version == 1
    left[0] = 99
    studio.undo(workspace)
    with pytest.raises(OutOfMemory) as caught:
        studio.erasing.erase(workspace)
    assert caught.value.remedy
    assert workspace.state.version == 0 and workspace.state.selection is not None


def test_a_shadow_goes_with_its_object_only_when_asked(studio):
    scene = shadow_scenes.scene(shadow_scenes.ground("sand"), shadow_scenes.thrown(110, 34, 2.0))
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, "PNG")
    workspace = studio.open(buffer.getvalue(), "scene.png")
    left, top, right, bottom = 160, 66, 240, 194  # around the object
    studio.selecting.adjust(workspace, [Adjustment("box", box=(left, top, right, bottom))])
    shadow = studio.erasing.shadow(workspace)
    assert shadow is not None and shadow.sure
    alone = studio.erasing.erase(workspace, grow=0, feather=0)
    assert not (workspace.picture().pixels != scene).any(axis=2)[shadow.mask].any()
    studio.undo(workspace)
    together = studio.erasing.erase(workspace, grow=0, feather=0, shadow=True)
    assert (workspace.picture().pixels != scene).any(axis=2)[shadow.mask].mean() > 0.9
    assert together.changed.right > alone.changed.right
    assert not (workspace.picture().pixels != scene).any(axis=2)[: together.changed.top].any()


def test_what_strokes_select_is_removed_in_one_step_and_the_selection_stays(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    stroke = Adjustment("strokes", strokes=(Stroke([(5, 5), (9, 5)], 2),))
    state = studio.erasing.erase(workspace, grow=0, feather=0, adjustments=[stroke]).state
    changed = (workspace.picture().pixels != image).any(axis=2)
    assert changed[5, 5:10].all() and not changed[10:].any() and np.array_equal(state.selection.mask, red)
    studio.undo(workspace)
    assert np.array_equal(workspace.picture().pixels, image) and workspace.state.label == "Click"
