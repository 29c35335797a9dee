"""Cropping and cutting out, on a toy studio."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.session.selection import Adjustment
from clickpaint.session.workspace import Workspace
from clickpaint.studio import vitmatte
from tests.toys.session import at, image, opened, red, selected


def test_a_crop_is_a_step_that_can_be_undone_and_keeps_what_is_selected(studio):
    workspace = opened(studio)
    studio.selecting.select(workspace, at((30, 20)))
    studio.extracting.crop(workspace, (10, 5, 50, 35))
    assert workspace.size == (40, 30) and np.array_equal(workspace.picture().pixels, image[5:35, 10:50])
    assert np.array_equal(selected(workspace), red[5:35, 10:50]) and workspace.margins() == (-10, -5, -10, -5)
    studio.extracting.crop(workspace, (0, 0, 20, 20))
    assert workspace.margins() == (-10, -5, -30, -15)
    studio.erasing.erase(workspace, grow=0, feather=0)
    assert np.array_equal(workspace.picture(0).pixels, image)
    kept = Workspace.restored("again", workspace.original, workspace.contents())
    assert np.array_equal(kept.picture().pixels, workspace.picture().pixels)
    for size in ((20, 20), (40, 30), (60, 40)):
        studio.undo(workspace)
        assert workspace.size == size
    assert np.array_equal(workspace.picture().pixels, image) and np.array_equal(selected(workspace), red)


@pytest.mark.parametrize("box", [(0, 0, 60, 40), (5, 5, 5, 20), (-1, 0, 20, 20), (0, 0, 61, 40)])
def test_a_crop_must_be_a_smaller_part(studio, box):
    with pytest.raises(InvalidInput):
        studio.extracting.crop(opened(studio), box)


def test_a_cut_out_is_the_object_alone_or_on_all_of_the_picture(studio):
    workspace = opened(studio)
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        studio.extracting.cut_out(workspace)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(20, 13, 40, 26))])
    cut = studio.extracting.cut_out(workspace, feather=0)
    assert cut.box == Box(20, 13, 40, 26) and cut.picture.size == (20, 13)
    assert np.array_equal(cut.picture.pixels, image[13:26, 20:40]) and (cut.picture.alpha == 255).all()
    whole = studio.extracting.cut_out(workspace, feather=0, whole=True).picture
    assert whole.size == (60, 40) and np.array_equal(whole.alpha == 255, red)
    assert (workspace.can_redo, workspace.state.version) == (False, 0)
    with pytest.raises(InvalidInput, match="feather cannot be 200"):
        studio.extracting.cut_out(workspace, feather=200)


def test_vitmatte_is_used_where_its_folder_is(studio, monkeypatch):
    transformers = vitmatte.loading.transformers()
    if not vitmatte.loading.knows("vitmatte"):
        pytest.skip("needs a transformers with ViTMatte")
    backbone = transformers.VitDetConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=64, pretrain_image_size=64, num_channels=4,
        out_features=["stage1"],
    )  # fmt: skip
    config = transformers.VitMatteConfig(
        backbone_config=backbone, hidden_size=8, convstream_hidden_sizes=[8, 8, 8], fusion_hidden_sizes=[8, 8, 8, 8]
    )
    folder = studio.host.folders("matting")[0] / "vitmatte-toy"
    assert vitmatte.folder(studio.host.folders("matting")) is None
    folder.mkdir(parents=True)
    transformers.VitMatteForImageMatting(config).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "vitmatte"
    workspace = opened(studio)
    studio.selecting.adjust(workspace, [Adjustment("box", box=(20, 13, 40, 26))])
    cut = studio.extracting.cut_out(workspace, feather=3)
    assert cut.method == "vitmatte" and cut.picture.alpha is not None and cut.picture.alpha.max() == 255
