"""Pictures through files and back: every sample that was not changed, and all that travels with them."""

from __future__ import annotations

import functools
import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from clickpaint.errors import InvalidInput
from clickpaint.image import picture_files
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.image.picture_files import decode, encode
from tests.image.files import file_of
from tests.image.toys import HEIGHT, LOSSLESS, WIDTH, deep, opened, photo, png, rng, sample


def samples_of(picture: Picture) -> np.ndarray:
    return picture.source.rgb if picture.source.samples is None else picture.source.samples.array


def changed(picture: Picture, colour=(0, 60, 240)) -> tuple[Picture, np.ndarray]:
    """With a rectangle painted; and which pixels were not touched."""
    pixels = picture.pixels.copy()
    pixels[10:20, 5:30] = colour
    return picture.with_pixels(pixels), (pixels == picture.pixels).all(axis=2)


@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format, modes in LOSSLESS.items() for mode in modes])
def test_lossless_formats_give_back_the_mode_and_every_untouched_sample(format, mode):
    data = sample(format, mode)
    picture = decode(data)
    assert (picture.source.format, picture.source.mode, picture.size) == (format, mode, (WIDTH, HEIGHT))
    assert picture.pixels.dtype == np.uint8 and not picture.pixels.flags.writeable
    after, untouched = changed(picture)
    assert 0 < (~untouched).sum() <= 250
    again = decode(encode(after))
    assert (again.source.format, again.source.mode) == (format, mode)
    assert (samples_of(again)[untouched] == samples_of(picture)[untouched]).all()
    assert (again.alpha is None) == (picture.alpha is None) == (mode not in ("LA", "RGBA", "LA;16", "RGBA;16"))
    if picture.alpha is not None:
        assert (again.alpha == picture.alpha).all() and (samples_of(again)[..., -1] == samples_of(picture)[..., -1]).all()
    if mode in ("P", "RGB", "RGBA", "CMYK", "RGB;16", "RGBA;16"):
        assert (again.pixels == after.pixels).all()
    # What was not changed at all comes back whole.
    assert (samples_of(decode(encode(picture))) == samples_of(picture)).all()


@pytest.mark.parametrize(
    ("format", "mode"), [("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("TIFF", "CMYK"), ("BMP", "RGB"), ("GIF", "P"), ("JPEG", "L")]
)
def test_pixels_are_what_pillow_shows(format, mode):
    data = sample(format, mode)
    assert (decode(data).pixels == np.asarray(opened(data).convert("RGB"))).all()


def test_16_bits_are_rounded_and_grey_stays_grey():
    picture = decode(deep("PNG", 3))
    deep_samples = samples_of(picture)
    assert deep_samples.dtype == np.uint16
    assert (picture.pixels == np.floor(deep_samples / 257 + 0.5)).all()
    after, untouched = changed(picture, (1, 128, 255))
    data = encode(after)
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]  # by a reader that is not ours
    assert (array[untouched] == deep_samples[untouched]).all() and array[15, 10].tolist() == [257, 128 * 257, 65535]
    grey = decode(encode(changed(decode(deep("PNG", 1)), (100, 100, 100))[0]))
    assert grey.source.mode == "I;16" and (grey.pixels[15, 10] == 100).all()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_our_16_bit_files_are_read_by_others(format):
    picture = decode(deep("PNG", 4))
    data = encode(picture, format)
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    assert array.dtype == np.uint16 and (array == samples_of(picture)).all()
    assert opened(data).size == picture.size


def test_a_palette_takes_new_colours_where_it_has_room_and_becomes_rgb_where_not():
    picture = decode(sample("PNG", "P"))
    few, untouched = changed(picture, (1, 2, 3))
    again = decode(encode(few))
    assert again.source.mode == "P" and (again.pixels == few.pixels).all()
    assert (samples_of(again)[untouched] == samples_of(picture)[untouched]).all()
    pixels = picture.pixels.copy()
    pixels[:30, :30] = rng().integers(0, 256, (30, 30, 3), np.uint8)
    many = decode(encode(picture.with_pixels(pixels)))
    assert many.source.mode == "RGB" and (many.pixels == pixels).all()


def test_a_gif_keeps_its_indices_and_takes_the_nearest_of_new_colours():
    picture = decode(sample("GIF", "P"))
    pixels = picture.pixels.copy()
    pixels[:30, :30] = np.mgrid[:30, :30].sum(axis=0)[..., None] * np.array([4, 3, 2])
    again = decode(encode(picture.with_pixels(pixels)))
    untouched = np.ones((HEIGHT, WIDTH), bool)
    untouched[:30, :30] = False
    assert again.source.format == "GIF" and (samples_of(again)[untouched] == samples_of(picture)[untouched]).all()
    assert np.abs(again.pixels[:30, :30].astype(int) - pixels[:30, :30]).mean() < 4


def test_transparent_palette_entries():
    image = photo("P")
    table = bytes([0, 128] + [255] * 98)
    data = file_of(image, "PNG", transparency=table)
    picture = decode(data)
    indices = np.asarray(image)
    assert picture.alpha is not None and (picture.alpha == np.frombuffer(table, np.uint8)[indices]).all()
    after, untouched = changed(picture, (9, 9, 9))
    again = decode(encode(after))
    assert again.source.mode == "P" and (again.alpha == picture.alpha).all()
    assert (samples_of(again)[untouched] == indices[untouched]).all()
    assert (again.pixels[picture.alpha > 0] == after.pixels[picture.alpha > 0]).all()


def test_a_gif_with_transparency():
    data = file_of(photo("P"), "GIF", transparency=3)
    picture = decode(data)
    assert picture.alpha is not None and set(np.unique(picture.alpha)) == {0, 255}
    after, _ = changed(picture)
    again = decode(encode(after))
    assert (again.alpha == picture.alpha).all()
    assert (again.pixels[picture.alpha > 0] == after.pixels[picture.alpha > 0]).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_single_transparent_colour_stays_transparent_and_no_other_becomes_it(mode):
    image = photo(mode)
    key = image.getpixel((0, 0))
    picture = decode(file_of(image, "PNG", transparency=key))
    assert picture.alpha is not None and picture.alpha[0, 0] == 0 and (picture.alpha == 255).any()
    pixels = picture.pixels.copy()
    pixels[:] = key  # the very colour that means "transparent"
    again = decode(encode(picture.with_pixels(pixels)))
    assert again.source.mode == mode and (again.alpha == picture.alpha).all()
    assert np.abs(again.pixels.astype(int) - pixels).max() <= 1
    pixels[:] = 200  # painted over transparent pixels: these stay transparent
    again = decode(encode(picture.with_pixels(pixels)))
    assert (again.alpha == picture.alpha).all() and (again.pixels[picture.alpha > 0] == 200).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied_once_and_the_tag_reset(format, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    data = file_of(photo(), format, exif=exif.tobytes(), **({"lossless": True} if format == "WEBP" else {}))
    picture = decode(data)
    assert (picture.pixels == np.asarray(ImageOps.exif_transpose(opened(data)).convert("RGB"))).all()
    out = opened(encode(picture))
    assert out.size == picture.size and out.getexif()[0x0112] == 1 and out.getexif()[0x010F] == "Maker"


def test_native_samples_are_turned_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(file_of(photo("P"), "PNG", exif=exif.tobytes()))
    assert picture.size == (HEIGHT, WIDTH)
    assert (samples_of(picture) == np.rot90(np.asarray(photo("P")), -1)).all()
    assert (decode(encode(picture)).pixels == picture.pixels).all()


def test_an_exif_thumbnail_does_not_show_what_was_removed():
    thumbnail = file_of(photo().resize((16, 11)), "JPEG")
    first = (
        struct.pack("<H", 2)
        + struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0)
        + struct.pack("<HHII", 0x0110, 2, 4, int.from_bytes(b"Cam\0", "little"))
    )
    second_at = 8 + len(first) + 4
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, second_at + 30, 0x0202, 4, 1, len(thumbnail), 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", second_at) + second + thumbnail
    data = file_of(photo(), "JPEG", exif=exif)
    assert thumbnail in data
    out = encode(decode(data))
    assert thumbnail[:40] not in out and opened(out).getexif()[0x0110] == "Cam"


@functools.cache  # a profile holds the second it was made in
def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profile_exif_and_resolution_travel(format, target):
    exif = Image.Exif()
    exif[0x010F], exif[0x8769] = "Maker", {0x9003: "2020:01:02 03:04:05", 0x829A: (1, 50)}
    data = file_of(photo(), "PNG" if format == "TIFF" else format, exif=exif.tobytes(), icc_profile=srgb(), dpi=(300, 300))
    if format == "TIFF":  # Pillow 12 cannot save sub-directories into one
        data = encode(decode(data), "TIFF")
    out = opened(encode(changed(decode(data))[0], target))
    assert out.format == target and out.info["icc_profile"] == srgb()
    assert out.getexif()[0x010F] == "Maker" and out.getexif().get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    if "WEBP" not in (format, target):
        assert [round(float(value)) for value in out.info["dpi"]] == [300, 300]


def test_png_text_and_other_chunks_come_back():
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a dog\nSteps: 20, Seed: 1")
    text.add_text("Grüße", "schön ☂", zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="1"/>')
    text.add(b"gAMA", struct.pack(">I", 45455))
    picture = decode(file_of(photo(), "PNG", pnginfo=text, dpi=(72, 72), icc_profile=srgb()))
    assert picture.source.text["parameters"] == "a dog\nSteps: 20, Seed: 1"
    out = opened(encode(changed(picture)[0]))
    out.load()
    assert out.text["parameters"] == "a dog\nSteps: 20, Seed: 1" and out.text["Grüße"] == "schön ☂"
    assert (
        out.info["gamma"] == pytest.approx(0.45455)
        and out.info["icc_profile"] == srgb()
        and "tiff:Orientation" in out.text["XML:com.adobe.xmp"]
    )


def test_png_text_of_a_16_bit_picture_comes_back():
    chunk = (b"tEXt", b"parameters\0a cat")
    data = png(2, 2, 0, 16, b"\0\x12\x34\x56\x78\0\x9a\xbc\xde\xf0", chunk)
    out = opened(encode(decode(data)))
    out.load()
    assert out.text == {"parameters": "a cat"} and [int(v) for v in np.asarray(out).ravel()] == [0x1234, 0x5678, 0x9ABC, 0xDEF0]


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_keeps_its_tables_subsampling_comment_and_xmp(subsampling, progressive):
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="1">hello</x>'
    segment = struct.pack(">HH", 0xFFE1, len(xmp) + 2) + xmp
    data = file_of(photo(), "JPEG", quality=83, subsampling=subsampling, progressive=progressive, comment=b"by me", extra=segment)
    out = encode(changed(decode(data))[0])
    before, after = opened(data), opened(out)
    assert after.quantization == before.quantization
    assert [layer[1:3] for layer in after.layer] == [layer[1:3] for layer in before.layer]
    assert after.info["comment"] == b"by me" and xmp in out and bool(after.info.get("progressive")) == progressive
    assert opened(encode(decode(data), quality=30)).quantization != before.quantization


def test_cmyk_jpeg():
    data = file_of(photo("CMYK"), "JPEG", quality=95)
    picture = decode(data)
    assert picture.source.mode == "CMYK" and (picture.pixels == np.asarray(opened(data).convert("RGB"))).all()
    again = decode(encode(picture))
    assert again.source.mode == "CMYK" and np.abs(again.pixels.astype(int) - picture.pixels).mean() < 3


def test_a_noisy_progressive_jpeg_of_the_best_quality_can_be_saved():
    noise = rng().integers(0, 256, (700, 900, 3), np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    data = cv2.imencode(".jpg", noise, flags)[1].tobytes()
    out = encode(decode(data))
    assert opened(out).quantization == opened(data).quantization
    assert np.abs(decode(out).pixels.astype(int) - decode(data).pixels).mean() < 2


def test_the_first_picture_of_a_phones_mpo_is_a_jpeg():
    data = file_of(photo(), "MPO", save_all=True, append_images=[photo("L").convert("RGB")])
    assert opened(data).format == "MPO"
    picture = decode(data)
    assert picture.source.format == "JPEG" and opened(encode(picture)).format == "JPEG"


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    for format, options in (("GIF", {}), ("WEBP", {"lossless": True})):
        picture = decode(file_of(frames[0], format, save_all=True, append_images=frames[1:], **options))
        assert (picture.pixels == [255, 0, 0]).all()


def test_a_webp_stays_what_it_was_lossy_or_lossless():
    def is_lossless(data: bytes) -> bool:
        return b"VP8L" in data

    for lossless in (True, False):
        data = file_of(photo(), "WEBP", lossless=lossless, icc_profile=srgb())
        assert is_lossless(encode(decode(data))) == lossless
    assert is_lossless(encode(decode(sample("PNG", "RGB")), "WEBP")) and not is_lossless(
        encode(decode(sample("PNG", "RGB")), "WEBP", quality=80)
    )
    assert not is_lossless(encode(decode(file_of(photo(), "JPEG")), "WEBP"))


@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format, modes in LOSSLESS.items() for mode in modes])
def test_every_kind_can_be_saved_as_every_other(format, mode, target):
    picture = decode(sample(format, mode))
    again = decode(encode(picture, target.lower()))
    assert again.source.format == target and again.size == picture.size
    if picture.alpha is not None and target in ("PNG", "WEBP", "TIFF"):
        assert (again.alpha == picture.alpha).all()
    if target in ("PNG", "WEBP", "TIFF") or (target == "BMP" and picture.alpha is None):
        assert (again.pixels == picture.pixels).all()


def test_a_tiff_with_much_before_its_samples():
    profile = srgb() + bytes(100_000)  # offsets that 16 bits do not hold
    picture = decode(file_of(photo(), "TIFF", icc_profile=profile))
    out = encode(picture)
    assert (np.asarray(opened(out)) == picture.pixels).all() and opened(out).info["icc_profile"] == profile


def test_jpeg_shows_transparent_pixels_on_white():
    pixels, alpha = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8)
    assert decode(encode(from_pixels(pixels, alpha), "JPEG")).pixels.min() >= 253


def test_a_cmyk_profile_is_not_put_on_rgb():
    profile = bytearray(srgb())
    profile[16:20] = b"CMYK"  # unusable as such, which must not matter either
    picture = decode(file_of(photo("CMYK"), "TIFF", icc_profile=bytes(profile)))
    assert opened(encode(picture)).info["icc_profile"] == bytes(profile)
    assert "icc_profile" not in opened(encode(picture, "PNG")).info


def cmyk_profile() -> bytes:
    """An ICC profile of a press that prints greys with black ink alone: L* = 100 % - K, and back."""

    def table(inputs: int, outputs: int, corners: np.ndarray) -> bytes:
        identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
        line = bytes(range(256))
        return (
            b"mft1\0\0\0\0"
            + bytes([inputs, outputs, 2, 0])
            + identity
            + line * inputs
            + corners.astype(np.uint8).tobytes()
            + line * outputs
        )

    c, m, y, k = np.mgrid[:2, :2, :2, :2]
    light = (1 - k) * (1 - (c + m + y) / 4)
    to_lab = table(4, 3, np.stack([255 * light, np.full(k.shape, 128), np.full(k.shape, 128)], axis=-1))
    lightness = np.mgrid[:2, :2, :2][0]
    to_cmyk = table(3, 4, np.stack([0 * lightness] * 3 + [255 * (1 - lightness)], axis=-1))
    head = struct.pack(">I4sI4s4s4s12x4s24x4xIII48x", 0, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp", 0xF6D6, 0x10000, 0xD32D)
    at = 128 + 4 + 12 * 2
    assert len(head) == 128
    tags = struct.pack(">I4sII4sII", 2, b"A2B0", at, len(to_lab), b"B2A0", at + len(to_lab), len(to_cmyk))
    body = head + tags + to_lab + to_cmyk
    return struct.pack(">I", len(body)) + body[4:]


def test_cmyk_goes_through_its_profile_and_back():
    array = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    array[..., 3] = np.linspace(0, 255, WIDTH)
    data = file_of(Image.frombytes("CMYK", (WIDTH, HEIGHT), array.tobytes()), "TIFF", icc_profile=cmyk_profile())
    picture = decode(data)
    grey = picture.pixels[0, WIDTH // 2]
    assert np.abs(grey.astype(int) - 119).max() <= 3  # L* = 50 %; the plain formula gives 128
    after, untouched = changed(picture, (119, 119, 119))
    again = decode(encode(after))
    assert (samples_of(again)[untouched] == array[untouched]).all()
    ink = samples_of(again)[15, 10]
    assert ink[:3].tolist() == [0, 0, 0] and abs(int(ink[3]) - 128) <= 3
    assert np.abs(again.pixels[15, 10].astype(int) - 119).max() <= 3


def test_exif_that_older_programs_wrote_as_text_turns_the_picture_only_once():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    raw = exif.tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(raw):8d}\n{raw.hex()}\n", zip=True)
    picture = decode(file_of(photo(), "PNG", pnginfo=text))
    assert picture.size == (HEIGHT, WIDTH)
    again = decode(encode(picture))
    assert (again.pixels == picture.pixels).all() and opened(encode(picture)).getexif()[0x010F] == "Maker"


def test_with_pixels_digest_and_from_pixels():
    pixels = np.asarray(photo()).copy()
    picture = from_pixels(pixels)
    pixels[:] = 0
    assert picture.pixels.any(), "the picture must not follow its argument"
    other = picture.with_pixels(255 - picture.pixels)
    assert other.digest != picture.digest == from_pixels(picture.pixels).digest and len(other.digest) == 64
    assert from_pixels(np.zeros((2, 8, 3), np.uint8)).digest != from_pixels(np.zeros((4, 4, 3), np.uint8)).digest
    assert other.source is picture.source and (decode(encode(other)).pixels == other.pixels).all()
    for wrong in (np.zeros((3, 3, 3), np.uint8), picture.pixels.astype(float)):
        with pytest.raises(InvalidInput, match="new pixels"):
            picture.with_pixels(wrong)
    with pytest.raises(InvalidInput, match="no picture"):
        from_pixels(np.zeros((3, 3), np.uint8))


def test_names_of_formats():
    assert [picture_files.extension(format) for format in ("PNG", "JPEG", "TIFF")] == [".png", ".jpg", ".tif"]
    assert picture_files.media_type("JPEG") == "image/jpeg"
    with pytest.raises(InvalidInput, match="cannot be saved as exe"):
        encode(from_pixels(np.zeros((2, 2, 3), np.uint8)), "exe")
    with pytest.raises(InvalidInput, match="from 1 to 100"):
        encode(from_pixels(np.zeros((2, 2, 3), np.uint8)), "JPEG", quality=101)


@pytest.mark.parametrize("said", ["Steps: 20, Seed: 1", "一只猫\nSteps: 20"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_text_that_is_added_is_in_the_file_once_and_what_was_there_stays(said, depth):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "old")
    info.add_text("Comment", "kept")
    out = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), depth)).save(out, "PNG", pnginfo=info)
    once = decode(out.getvalue()).with_text(parameters="between").with_text(parameters=said)
    with Image.open(io.BytesIO(encode(once))) as opened:
        assert opened.info["parameters"] == said and opened.info["Comment"] == "kept"
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "JPEG")
    with Image.open(io.BytesIO(encode(decode(out.getvalue()).with_text(parameters=said), "PNG"))) as opened:
        assert opened.info["parameters"] == said
