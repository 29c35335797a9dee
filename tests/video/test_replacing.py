"""Another background around an object: its edge, its steadiness, and backgrounds that move as they should."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks_
from clickpaint.video.backgrounds import Opening, PaintedBackground, covering, from_clip
from clickpaint.video.new_clip import NewClip
from clickpaint.video.replacing import ReplaceOptions, replace
from tests.video.drawn import Drawn, texture
from tests.video.test_filling import SIZE, turning


def panning(count: int = 9, step: int = 2) -> Drawn:
    """A camera that moves to the right by `step` pixels a frame, and an object that stays in its middle."""
    width, height = SIZE
    world = np.clip(texture(3 * width, height, 4), 0, 255).astype(np.uint8)
    rows, columns = np.mgrid[:height, :width]
    mask = (columns - 56) ** 2 + (rows - 40) ** 2 < 14**2
    shown = [np.where(mask[..., None], np.uint8(250), world[:, 20 + step * n : 20 + step * n + width]) for n in range(count)]
    return Drawn(shown, [mask] * count, shown)


def test_the_object_stays_to_the_bit_and_its_edge_is_mixed_with_the_new_background():
    scene = turning(4)
    blue = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    blue[..., 2] = 255
    frames = list(replace(scene.clip, scene.clip, [blue] * 4, ReplaceOptions(band=3)))
    for number, frame in enumerate(frames):
        mask = scene.clip.masks[number]
        core = masks_.shrink(mask, 4)
        assert core.any() and (frame[core] == scene.clip.shown[number][core]).all()
        assert (frame[~masks_.grow(mask, 4)] == (0, 0, 255)).all()
        edge = masks_.grow(mask, 1) & ~masks_.shrink(mask, 1)
        assert np.unique(frame[edge], axis=0).shape[0] > 30  # neither the one nor the other alone


def test_a_mask_that_flickers_for_a_frame_does_not_show():
    """The mask of the frame in the middle bulges; without asking its neighbours, so does the cut-out."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    disc = (columns - 32) ** 2 + (rows - 32) ** 2 < 16**2
    back = np.clip(90 + rng.normal(0, 3, (64, 64, 3)), 0, 255)  # of the object's own colour: nothing tells where it ends
    shown = [np.where(disc[..., None], np.clip(90 + 25 * np.sin(columns / 3)[..., None], 0, 255), back).astype(np.uint8)] * 5
    masks = [disc.copy() for _ in range(5)]
    masks[2] = disc | ((columns - 47) ** 2 + (rows - 32) ** 2 < 6**2)
    white = np.full((64, 64, 3), 255, np.uint8)
    frames = list(replace(Drawn(shown, masks, shown), Drawn(shown, masks, shown), [white] * 5, ReplaceOptions(band=4)))
    bulge = masks[2] & ~masks_.grow(disc, 2) & masks_.grow(disc, 4)
    (alone,) = replace(Drawn(shown[:1], masks[2:3], shown), Drawn(shown, masks[2:3], shown), [white], ReplaceOptions(band=4))
    kept, steady = (float((255 - frame[bulge].astype(float)).mean()) for frame in (alone, frames[2]))
    assert steady < 0.6 * kept


def test_a_clip_is_looped_at_its_own_speed_and_covers_the_frames():
    red, green = (np.zeros((20, 60, 3), np.uint8) + np.array(colour, np.uint8) for colour in ((200, 0, 0), (0, 200, 0)))
    slow = NewClip([red, green], 1.0)
    fast = NewClip([np.zeros((40, 40, 3), np.uint8)] * 5, 2.0)
    seen = list(from_clip(slow, fast))
    assert [frame.shape for frame in seen] == [(40, 40, 3)] * 5
    assert [int(frame[0, 0].argmax()) for frame in seen] == [0, 0, 1, 1, 0]
    marked = red.copy()
    marked[:, 20:40] = 255
    assert (covering(marked, (20, 20)) == 255).all()  # its middle


def test_a_painted_background_moves_with_the_camera_and_is_painted_on_where_that_uncovers_more():
    clip, painted = panning(), []

    def paint(first: Opening, opening: Opening, progress: object) -> np.ndarray:
        painted.append((opening.number, int(opening.hole[:, :-20].sum())))
        mark = np.clip(texture(3 * SIZE[0], SIZE[1], 7), 0, 255).astype(np.uint8)[:, 2 * opening.number : 2 * opening.number + SIZE[0]]
        return np.where(opening.hole[..., None], mark, opening.pixels)

    def erase(pixels: np.ndarray, hole: np.ndarray, progress: object) -> np.ndarray:
        return cv2.inpaint(pixels, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)

    frames = list(PaintedBackground(clip, clip, paint, erase, 4).frames())
    assert [number for number, _ in painted] == [0, 4, 8] and len(frames) == 9
    assert painted[1][1] == painted[2][1] == 0  # only at the border that comes in
    far = np.ones(SIZE[::-1], bool)
    far[:, 30:90] = False  # the object, and where it stood
    truth = np.clip(texture(3 * SIZE[0], SIZE[1], 7), 0, 255).astype(np.uint8)
    for number, frame in enumerate(frames):
        error = np.abs(frame.astype(float) - truth[:, 2 * number : 2 * number + SIZE[0]])[far].mean()
        assert error < 4, number


def test_a_still_camera_gives_the_same_background_in_every_frame():
    clip = panning(5, step=0)
    frames = list(PaintedBackground(
        clip, clip, lambda first, opening, _: np.where(opening.hole[..., None], np.uint8(90), opening.pixels),
        lambda pixels, hole, _: np.where(hole[..., None], np.uint8(91), pixels), 2,
    ).frames())  # fmt: skip
    assert len(frames) == 5 and all((frame == frames[0]).all() for frame in frames) and (frames[0] <= 91).all()


def test_what_cannot_be_replaced_is_said():
    clip = panning(2)
    everything = Drawn(clip.shown, [np.ones_like(mask) for mask in clip.masks], [])
    with pytest.raises(InvalidInput, match="nothing to paint"):
        list(PaintedBackground(clip, everything, lambda *_: clip.shown[0], lambda *_: clip.shown[0], 4).frames())
    with pytest.raises(InvalidInput, match="feather cannot be 200"):
        ReplaceOptions(band=200)
