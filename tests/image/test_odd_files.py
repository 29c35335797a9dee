"""Files as scanners, phones and other programs write them."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from clickpaint.errors import InvalidInput
from clickpaint.image import exif
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.image.picture_files import decode, encode
from clickpaint.image.readers import format_of
from tests.image.files import file_of, grey_png, photo, tiff, with_chunk

OLD, NEW = "OLD PROMPT\nSteps: 20, Seed: 1", "NEW PROMPT 新\nSteps: 2, Seed: 3"


def samples_of(picture: Picture) -> np.ndarray:
    return picture.source.rgb if picture.source.samples is None else picture.source.samples.array


def painted(picture: Picture, colour=(10, 200, 90)) -> tuple[Picture, np.ndarray]:
    """With a rectangle painted; and which pixels were not touched."""
    pixels = picture.pixels.copy()
    pixels[5:15, 8:20] = colour
    return picture.with_pixels(pixels), (pixels == picture.pixels).all(axis=2)


def writes(format: str) -> bool:
    try:
        encode(from_pixels(photo()), format)
    except InvalidInput:
        return False
    return True


# PNG


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_a_png_whose_text_or_profile_unpacks_to_megabytes(kind):
    packed = zlib.compress(b'{"node":1}' * 210_000)
    content = {"zTXt": b"workflow\0\0", "iTXt": b"workflow\0\1\0\0\0", "iCCP": b"profile\0\0"}[kind] + packed
    picture = decode(with_chunk(file_of(photo(), "PNG"), kind.encode(), content))
    assert np.array_equal(picture.pixels, photo())
    assert kind.encode() + content in encode(painted(picture)[0])
    if kind != "iCCP":
        assert len(picture.source.text["workflow"]) == 2_100_000


def test_text_that_unpacks_to_more_than_memory_is_kept_packed():
    bomb = zlib.compress(bytes(80 << 20), 9)
    picture = decode(with_chunk(file_of(photo(), "PNG"), b"zTXt", b"bomb\0\0" + bomb))
    assert "bomb" not in picture.source.text and bomb in encode(picture)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_grey_that_means_transparent_at_every_depth(bits):
    values = np.arange(64).reshape(8, 8) % min(1 << bits, 64)
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    else:
        rows = [np.packbits(np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes() for row in values]
    picture = decode(grey_png(rows, 8, bits, (b"tRNS", struct.pack(">H", 1))))
    assert picture.alpha is not None and np.array_equal(picture.alpha == 0, values == 1)
    again = decode(encode(picture))
    assert np.array_equal(again.alpha, picture.alpha) and np.array_equal(again.pixels, picture.pixels)
    deep = decode(encode(picture, "TIFF"))
    assert np.array_equal(deep.alpha, picture.alpha) and (bits < 16 or samples_of(deep).dtype == np.uint16)


# JPEG


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_ends_where_its_structure_says(progressive):
    data = file_of(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8), "JPEG", progressive=progressive)
    film = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40 + b"\xff\xda" + bytes(range(200)) * 40
    picture = decode(data + film)
    assert [(loss.code, loss.data) for loss in picture.source.losses] == [("trailer", {"bytes": len(film)})]
    assert film not in encode(picture), "it would show what was removed"
    assert decode(data + bytes(500)).source.losses == ()
    for lacking in (1, 2):
        assert np.array_equal(decode(data[:-lacking]).pixels, picture.pixels)
    for lacking in (4, 6, 12, 60, 600):
        with pytest.raises(InvalidInput, match="cut off"):
            decode(data[:-lacking])
        with pytest.raises(InvalidInput, match="cut off"):
            decode(data[:-lacking] + b"\xff")


def test_a_film_that_is_gone_is_not_announced():
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x GCamera:MotionPhoto="1" GCamera:MicroVideo="1"/>'
    data = file_of(photo(), "JPEG", extra=b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp)
    assert b'MotionPhoto="0" GCamera:MicroVideo="0"' in encode(decode(data + b"\0\0\0\x18ftypmp42" + bytes(range(99))))
    assert b'MotionPhoto="1"' in encode(decode(data))


# EXIF


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"rubbish",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\x05\x01\x12",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
    ],
)
def test_exif_that_is_none_does_not_matter(format, rubbish):
    data = (
        with_chunk(file_of(photo(), "PNG"), b"eXIf", rubbish) if format == "PNG" else file_of(photo(), format, exif=b"Exif\0\0" + rubbish)
    )
    picture = decode(data)
    assert picture.size == (48, 32)
    for target in ("PNG", "JPEG", "WEBP", "TIFF"):
        assert decode(encode(picture.with_text(parameters=NEW), target)).source.text["parameters"] == NEW


# TIFF


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize(
    ("photometric", "extra"),
    [(0, ()), (0, (2,)), (1, ()), (1, (0,)), (1, (1,)), (1, (2,)), (2, ()), (2, (0,)), (2, (1,)), (2, (2,)), (2, (0, 2)), (2, (0, 0))],
)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_tiff_looks_as_it_says_and_keeps_its_samples(depth, photometric, extra, deflate, apart, order):
    most, colours = np.iinfo(depth).max, 3 if photometric == 2 else 1
    array = np.random.default_rng(0).integers(0, most + 1, (32, 48, colours + len(extra))).astype(depth)
    alpha = next((array[..., colours + index] for index, kind in enumerate(extra) if kind), None)
    light = array[..., :colours].astype(float) / most
    if photometric == 0:
        light = 1 - light
    if 1 in extra:
        assert alpha is not None
        array[..., :colours] = np.rint(array[..., :colours] * (alpha[..., None] / most))
    picture = decode(tiff(array, photometric, extra, order, apart, deflate))

    assert (picture.alpha is None) == (alpha is None)
    seen = np.ones((32, 48), bool)
    if alpha is not None:
        assert picture.alpha is not None and np.abs(picture.alpha - alpha * (255 / most)).max() <= 0.5
        seen = alpha > most / 8
    assert np.abs(picture.pixels - light * 255)[seen].max() <= (6 if 1 in extra else 0.51)
    assert [loss.code for loss in picture.source.losses] == ["channels"] * (extra in ((0,), (0, 2), (0, 0)))

    after, untouched = painted(picture)
    again = decode(encode(after))
    assert again.source.mode == picture.source.mode
    assert np.array_equal(samples_of(again)[untouched], samples_of(picture)[untouched])
    assert np.abs(again.pixels.astype(int) - after.pixels)[seen].max() <= (255 if colours == 1 else 6 if 1 in extra else 0)
    assert np.array_equal(decode(encode(picture, "PNG")).pixels[seen], picture.pixels[seen]) or 1 in extra


def test_a_tiff_larger_than_a_megabyte_is_written_by_every_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    assert np.array_equal(decode(encode(from_pixels(pixels), "TIFF")).pixels, pixels)


# several pictures


@pytest.mark.parametrize(("format", "name"), [("GIF", "frames"), ("WEBP", "frames"), ("PNG", "frames"), ("TIFF", "pages")])
def test_of_several_pictures_it_is_said_that_the_first_is_kept(format, name):
    frames = [Image.fromarray(np.roll(photo(), 7 * index, 1)) for index in range(3)]
    data = file_of(frames[0], format, save_all=True, append_images=frames[1:], **({} if format == "TIFF" else {"duration": 90}))
    losses = decode(data).source.losses
    assert [(loss.code, loss.data) for loss in losses] == [("frames", {"frames": 3})] and name in losses[0].text
    assert decode(encode(decode(data))).source.losses == ()


def test_a_smaller_version_of_a_page_is_no_page():
    data = bytearray(file_of(photo(), "TIFF", save_all=True, append_images=[Image.fromarray(photo(24, 16))], tiffinfo={254: 1}))
    assert decode(bytes(data)).source.losses == ()


# AVIF and HEIC


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_avif_and_heic_come_and_go_with_alpha_and_metadata(format):
    if not writes(format):
        pytest.skip("this Pillow has no encoder for it")
    described = Image.Exif()
    described[0x010F] = "Maker"
    jpeg = decode(file_of(photo(), "JPEG", quality=95, exif=described.tobytes()))
    data = encode(jpeg.with_text(parameters=OLD), format)
    assert format_of(data[:64]) == format
    picture = decode(data)
    assert np.abs(picture.pixels.astype(int) - jpeg.pixels).mean() < 8
    assert picture.source.text["parameters"] == OLD
    after = decode(encode(painted(picture)[0].with_text(parameters=NEW)))
    assert after.source.format == format and after.source.text["parameters"] == NEW
    block = Image.Exif()
    block.load(after.source.exif)
    assert block[0x010F] == "Maker"
    alpha = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))
    again = decode(encode(from_pixels(photo(), alpha), format))
    assert again.alpha is not None and np.abs(again.alpha.astype(int) - alpha).mean() < 4


def test_without_its_package_heic_is_refused_with_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InvalidInput, match="pillow-heif"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    with pytest.raises(InvalidInput, match="pillow-heif"):
        encode(from_pixels(photo()), "HEIF")


# infotexts


def commented(raw: bytes) -> bytes:
    table = Image.Exif()
    table[0x010F], table[0x8769] = "Maker", {0x9286: raw, 0x9003: "2020:01:02 03:04:05", 0x927C: b"makernote" * 9}
    return table.tobytes()


COMMENTS = {
    "big-endian": b"UNICODE\0" + OLD.encode("utf-16-be"),
    "little-endian": b"UNICODE\0" + OLD.encode("utf-16-le"),
    "marked": b"UNICODE\0" + OLD.encode("utf-16"),
    "ascii": b"ASCII\0\0\0" + OLD.encode(),
    "jis": b"JIS\0\0\0\0\0" + OLD.encode("shift_jis"),
    "undefined": bytes(8) + OLD.encode(),
}
TARGETS = [None, "PNG", "JPEG", "WEBP", "TIFF"] + [format for format in ("AVIF", "HEIF") if writes(format)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("code", COMMENTS)
def test_an_infotext_is_read_replaced_and_removed_and_the_other_exif_stays(code, format, target):
    picture = decode(file_of(photo(), format, exif=commented(COMMENTS[code])))
    assert picture.source.text["parameters"] == OLD
    assert decode(encode(picture, target)).source.text["parameters"] == OLD
    data = encode(picture.with_text(parameters=NEW), target)
    for text in (OLD[:10].encode(), OLD[:10].encode("utf-16-be"), OLD[:10].encode("utf-16-le")):
        assert text not in data and text not in encode(picture.with_text(parameters=""), target)
    again = decode(data)
    assert again.source.text["parameters"] == NEW
    if target != "TIFF":
        table = Image.Exif()
        table.load(again.source.exif)
        inner = table.get_ifd(0x8769)
        assert table[0x010F] == "Maker" and inner[0x9003] == "2020:01:02 03:04:05" and inner[0x927C] == b"makernote" * 9


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_an_infotext_goes_into_a_file_that_had_none(format):
    picture = decode(encode(from_pixels(photo()).with_text(parameters=NEW), format))
    assert picture.source.text["parameters"] == NEW
    assert decode(encode(picture.with_text(parameters=OLD))).source.text["parameters"] == OLD
    endless = decode(encode(picture.with_text(parameters="x" * 70_000 + "\nSteps: 1"))).source.text.get("parameters", "")
    assert NEW not in endless and (len(endless) > 70_000 or format == "JPEG")


def test_a_comment_that_is_no_infotext_stays():
    raw = b"ASCII\0\0\0a nice day"
    picture = decode(file_of(photo(), "JPEG", exif=commented(raw), comment=b"by me"))
    assert "parameters" not in picture.source.text
    out = encode(picture)
    assert exif.user_comment(decode(out).source.exif) == "a nice day" and b"by me" in out


def test_makers_notes_stay_where_they_are():
    before = exif.usable(commented(COMMENTS["ascii"]))
    after = exif.with_user_comment(before, NEW)
    assert after.index(b"makernote") == before.index(b"makernote") and exif.user_comment(after) == NEW
    assert OLD.encode() not in after
    assert exif.user_comment(exif.with_user_comment(after, "")) == ""
    assert exif.user_comment(exif.with_user_comment(b"", NEW)) == NEW
