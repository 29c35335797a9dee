from __future__ import annotations

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import decode, encode
from clickpaint.image.transparency import painted_over, without_object
from clickpaint.session.selection import Adjustment, adjusted, transparent
from tests.image.files import file_of, photo


def square(size: int = 40, start: int = 12, end: int = 28) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[start:end, start:end] = True
    return mask


def test_paint_covers_what_is_transparent_and_mixes_with_no_hidden_colour():
    share = np.array([[0, 0.25, 0.5, 1]], np.float32)
    colour, alpha = painted_over(np.zeros((1, 4), np.uint8), share)
    assert colour.tolist() == [[0, 1, 1, 1]] and alpha.tolist() == [[0, 64, 128, 255]]
    colour, alpha = painted_over(np.full((1, 4), 255, np.uint8), share)
    assert np.array_equal(colour, share) and (alpha == 255).all()
    colour, alpha = painted_over(np.full((1, 4), 128, np.uint8), share)
    assert alpha[0, 0] == 128 and alpha[0, 3] == 255 and share[0, 2] < colour[0, 2] < 1


def test_what_lay_on_nothing_leaves_nothing():
    alpha = np.where(square(), 255, 0).astype(np.uint8)
    assert (without_object(alpha, square(), 2) == 0).all()


def test_a_hole_in_something_opaque_is_closed():
    alpha = np.where(square(), 0, 255).astype(np.uint8)
    assert (without_object(alpha, square(), 2) == 255).all()


def test_alpha_like_that_around_it_stays_to_the_bit():
    for alpha in (np.tile(np.arange(40, dtype=np.uint8) + 100, (40, 1)), np.full((40, 40), 255, np.uint8)):
        before = alpha.copy()
        assert np.array_equal(without_object(alpha, square(), 4), before) and np.array_equal(alpha, before)


def test_an_edge_goes_on_where_something_on_it_is_removed():
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, :20] = 255  # a sprite's right edge
    alpha[square()] = 255  # with something that stands out
    after = without_object(alpha, square(), 0)
    assert after[20, 14] > 200 and after[20, 26] < 60 and np.array_equal(after[~square()], alpha[~square()])


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "colour", "16 bits"])
def test_changed_alpha_is_in_the_file(kind):
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[4:20, 4:20] = 0
    sprite = decode(encode(from_pixels(photo() // 60 * 60, alpha)))
    from PIL import Image

    image = Image.fromarray(np.dstack([sprite.pixels, alpha]))
    if kind == "LA":
        data = file_of(image.convert("LA"), "PNG")
    elif kind == "palette":
        data = file_of(image.quantize(60), "PNG")
    elif kind == "colour":
        flat = sprite.pixels.copy()
        flat[alpha == 0] = (1, 2, 3)
        data = file_of(flat, "PNG", transparency=(1, 2, 3))
    else:
        data = file_of(image, "PNG")
    picture = decode(data)
    if kind == "16 bits":
        import cv2

        deep = np.dstack([sprite.pixels[..., ::-1], alpha]).astype(np.uint16) * 257
        picture = decode(cv2.imencode(".png", deep)[1].tobytes())
    assert picture.alpha is not None and np.array_equal(picture.alpha, alpha)
    for value in (255, 90):
        pixels, wanted = picture.pixels.copy(), alpha.copy()
        pixels[6:10, 6:10], wanted[6:10, 6:10] = 120, value  # painted
        wanted[24:28, 24:28] = 0  # and removed
        again = decode(encode(picture.with_pixels(pixels, wanted)))
        assert again.alpha is not None and np.array_equal(again.alpha, wanted)
        assert np.array_equal(again.pixels[wanted > 0], pixels[wanted > 0])
        assert (again.source.mode == picture.source.mode) or (kind == "colour" and value == 90)
        for target in ("TIFF", "WEBP"):
            other = decode(encode(picture.with_pixels(pixels, wanted), target))
            assert np.array_equal(other.alpha, wanted)
    gif = decode(encode(decode(encode(picture, "GIF")).with_pixels(pixels, wanted)))
    assert gif.alpha is not None and np.array_equal(gif.alpha > 0, wanted >= 128)


def test_what_is_transparent_as_a_selection():
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[4:20, 4:20] = 40
    nothing = np.zeros((32, 48), bool)
    assert np.array_equal(transparent(alpha), alpha == 40)
    assert np.array_equal(adjusted(nothing, 0, [Adjustment("transparent")], (), alpha)[0], alpha == 40)
    everything_else = adjusted(~nothing, 0, [Adjustment("transparent", mode="subtract")], (), alpha)[0]
    assert np.array_equal(everything_else, alpha == 255)
    for opaque in (None, np.full((32, 48), 255, np.uint8)):
        with pytest.raises(InvalidInput, match="Nothing in this picture is transparent"):
            adjusted(nothing, 0, [Adjustment("transparent")], (), opaque)
