"""Data sets: every layout read and written, epochs planned, examples cut for their buckets, oddities marked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.errors import InvalidInput
from clickpaint.train.dataset import loading
from clickpaint.train.dataset.buckets import Item, bucket_sizes, plan_epoch
from clickpaint.train.dataset.collection import Collection, ExampleChange, NewExample
from clickpaint.train.dataset.examples import LAYOUTS, DataSet, TrainingExample
from clickpaint.train.dataset.inspection import inspect
from clickpaint.train.dataset.layout_reading import open_data_set
from clickpaint.train.dataset.layout_writing import save_data_set
from clickpaint.train.dataset.parquet_files import parquet_files, unpack
from clickpaint.train.dataset.picture_reading import mask_of, measures, read_picture

SIZES = ((96, 64), (64, 96), (80, 80), (64, 64))


def noise(size: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def save(array: np.ndarray, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)
    return file


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Four examples: with a mask, with a soft one and two turns, with a control map and none, and a pair."""
    folder = tmp_path_factory.mktemp("kept")
    examples = []
    for number, size in enumerate(SIZES):
        mask = np.zeros((size[1], size[0]), np.uint8)
        mask[10:30, 40:60] = 255 if number == 0 else 200
        examples.append(
            TrainingExample(
                save(noise(size, number), folder / f"a{number}.png"), f"a red ball, number {number}",
                save(mask, folder / f"a{number}_mask.png") if number < 2 else None, 3 if number == 1 else 1, source=f"photo{number % 2}",
            )
        )  # fmt: skip
    examples[2] = replace(examples[2], control_map=save(noise(SIZES[2], 7), folder / "map.png"))
    examples[3] = replace(examples[3], before=save(noise(SIZES[3], 8), folder / "before.png"), caption="turn it red")
    return DataSet(tuple(examples), "ohwx", "balls")


def contents(data_set: DataSet, without: tuple[str, ...] = ()) -> list[tuple[object, ...]]:
    """What is in a data set, wherever it lies."""

    def pixels(file: Path | None) -> str:
        return "" if file is None else read_picture(file).digest

    rows = []
    for example in data_set.examples:
        mask = None if "mask" in without else mask_of(example)
        rows.append((
            pixels(example.picture), example.caption, None if mask is None else mask.tobytes(), example.repeats, example.source,
            "" if "control map" in without else pixels(example.control_map), "" if "before" in without else pixels(example.before),
        ))  # fmt: skip
    return sorted(rows, key=repr)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_in_a_layout_is_read_back_equal(data_set, layout, tmp_path):
    saved = save_data_set(data_set, tmp_path / "out", layout)
    read = open_data_set(tmp_path / "out")
    expected = data_set
    if layout in ("instruct", "controlnet"):
        kept = [example for example in data_set.examples if (example.before if layout == "instruct" else example.control_map)]
        expected = replace(data_set, examples=tuple(kept))
    assert saved.examples == len(expected.examples) == len(read.examples)
    # an instruction is known by the picture before it; without that it is a caption, and has the trigger word like any other
    assert contents(read, tuple(saved.without)) == contents(expected, tuple(saved.without))
    assert (read.trigger, read.name) == ("ohwx", "balls")
    with pytest.raises(InvalidInput, match="something in"):
        save_data_set(data_set, tmp_path / "out", layout)


def test_others_read_what_is_written(data_set, tmp_path):
    save_data_set(data_set, tmp_path / "one", "onetrainer")
    assert {path.name for path in (tmp_path / "one").iterdir()} >= {"a0.png", "a0.txt", "a0-masklabel.png", "a3-condlabel.png"}
    assert (tmp_path / "one" / "a0.txt").read_text() == "ohwx, a red ball, number 0\n"
    save_data_set(data_set, tmp_path / "kohya", "kohya")
    assert (tmp_path / "kohya" / "img" / "3_ohwx" / "a1.png").is_file() and (tmp_path / "kohya" / "masks" / "3_ohwx" / "a1.png").is_file()
    for folder in (tmp_path / "kohya" / "masks").iterdir():  # sd-scripts stop where a picture of the folder has none
        assert {path.stem for path in folder.iterdir()} == {path.stem for path in (tmp_path / "kohya" / "img" / folder.name).glob("*.png")}
    config = (tmp_path / "kohya" / "dataset_config.toml").read_text()
    assert 'conditioning_data_dir = "masks/3_ohwx"\nnum_repeats = 3' in config
    save_data_set(data_set, tmp_path / "pairs", "instruct")
    assert json.loads((tmp_path / "pairs" / "metadata.jsonl").read_text()) == {
        "original_image_file_name": "original_images/a3.png", "edit_prompt": "turn it red",
        "edited_image_file_name": "edited_images/a3.png",
    }  # fmt: skip


def test_published_layouts_open(tmp_path):
    picture, other = noise((16, 8), 1), noise((16, 8), 2)
    for folder in ("fill50k", "author", "pix2pix"):
        save(picture, tmp_path / folder / "images" / "0.png")
        save(other, tmp_path / folder / "maps" / "0.png")
    row = {"text": "an old circle", "image": "images/0.png", "conditioning_image": "maps/0.png"}
    (tmp_path / "fill50k" / "train.jsonl").write_text(json.dumps(row) + "\n")
    row = {"source": "maps/0.png", "target": "images/0.png", "prompt": "an old circle"}
    (tmp_path / "author" / "prompt.json").write_text(json.dumps(row))
    for folder in ("fill50k", "author"):
        example = open_data_set(tmp_path / folder).examples[0]
        assert example.caption == "an old circle" and example.control_map is not None
        assert np.array_equal(read_picture(example.picture).pixels, picture)
        assert np.array_equal(read_picture(example.control_map).pixels, other)
    row = {"original_image": "images/0.png", "edit_prompt": "make it old", "edited_image": "maps/0.png"}
    (tmp_path / "pix2pix" / "metadata.jsonl").write_text(json.dumps(row))
    pair = open_data_set(tmp_path / "pix2pix").examples[0]
    assert pair.before is not None and (pair.picture.parent.name, pair.before.parent.name) == ("maps", "images")
    for name, words in (("777_0.jpg", None), ("777_1.jpg", None), ("prompt.json", '{"edit": "make it snow"}')):
        file = tmp_path / "timbrooks" / "0000001" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        save(picture, file) if words is None else file.write_text(words)
    pair = open_data_set(tmp_path / "timbrooks").examples[0]
    assert (pair.picture.name, pair.caption, pair.before and pair.before.name) == ("777_1.jpg", "make it snow", "777_0.jpg")
    (tmp_path / "fill50k" / "train.jsonl").write_text('{"image": "../author/images/0.png"}')
    with pytest.raises(InvalidInput, match="outside"):
        open_data_set(tmp_path / "fill50k")


def test_a_picture_on_its_side_is_measured_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "a.png", "a.webp"):
        Image.fromarray(noise((32, 16), 1)).save(tmp_path / name, exif=exif)
        known = measures(TrainingExample(tmp_path / name))
        assert (known.width, known.height) == read_picture(tmp_path / name).size == (16, 32), name


def test_kohyas_folders_alpha_and_text_of_any_editor(tmp_path):
    mask = np.full((8, 8), 255, np.uint8)
    mask[:4] = 0
    save(np.dstack([noise((8, 8), 1), mask]), tmp_path / "5_sks dog" / "a.png")
    (tmp_path / "5_sks dog" / "a.caption").write_bytes("\ufeffsks dog, on the\nbeach".encode("utf-16-le"))
    save(noise((8, 8), 2), tmp_path / "2_sks dog" / "b.png")
    save(mask, tmp_path / "masks" / "b.png")
    data_set = open_data_set(tmp_path)
    b, a = data_set.examples
    assert data_set.trigger == "sks dog" and (a.repeats, b.repeats) == (5, 2)
    assert a.caption == "on the beach" and data_set.prompt(a) == "sks dog, on the beach" and data_set.prompt(b) == "sks dog"
    assert np.array_equal(mask_of(a), mask) and np.array_equal(mask_of(b), mask)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no data set"):
        open_data_set(tmp_path / "empty")


def test_an_epoch_is_planned_from_its_seed_and_number_alone(data_set):
    plan = plan_epoch(data_set, 64, 2, seed=1, epoch=5, flip=True, step=16, zoom=1.0, shuffle_tags=True)
    for epoch in range(3):  # whatever was planned before
        plan_epoch(data_set, 64, 2, seed=1, epoch=epoch, step=16)
    assert plan == plan_epoch(data_set, 64, 2, seed=1, epoch=5, flip=True, step=16, zoom=1.0, shuffle_tags=True)
    assert plan != plan_epoch(data_set, 64, 2, seed=2, epoch=5, flip=True, step=16, zoom=1.0, shuffle_tags=True)
    items = [item for batch in plan for item in batch.items]
    assert Counter(item.example.picture.name for item in items) == {"a0.png": 1, "a1.png": 3, "a2.png": 1, "a3.png": 1}
    for batch in plan:
        assert {item.size for item in batch.items} == {batch.size} and len(batch.items) <= 2
    assert all(width % 64 == height % 64 == 0 and width * height <= 512 * 512 for width, height in bucket_sizes(512))
    assert (512, 512) in bucket_sizes(512) and (384, 640) in bucket_sizes(512)


def test_a_crop_follows_the_object_and_everything_is_cut_alike(tmp_path):
    pixels = np.zeros((40, 300, 3), np.uint8)
    pixels[10:30, 250:270] = 255
    mask = pixels[..., 0]
    picture = save(pixels, tmp_path / "wide.png")
    example = TrainingExample(picture, "", save(mask, tmp_path / "mask.png"), control_map=picture, before=save(pixels, tmp_path / "b.png"))
    for zoom in (0.0, 1.0):
        for epoch in range(4):
            (batch,) = plan_epoch(DataSet((example,)), 32, 1, 0, epoch, flip=True, step=16, zoom=zoom)
            item = batch.items[0]
            left, top, right, bottom = item.crop
            assert left <= 250 and right >= 270 and top <= 10 and bottom >= 30
            assert (right - left) / (bottom - top) == pytest.approx(item.size[0] / item.size[1])
            loaded = loading.load(item)
            assert loaded.pixels.shape == (item.size[1], item.size[0], 3) and loaded.mask is not None
            assert np.array_equal(loaded.mask, (loaded.pixels[..., 0] / np.float32(255)).astype(np.float32))
            assert np.array_equal(loaded.control_map, loaded.pixels) and np.array_equal(loaded.before, loaded.pixels)
            assert loading.cache_key(item) != loading.cache_key(replace(item, flipped=not item.flipped))
    whole = Item(example, "", (300, 40), (0.0, 0.0, 300.0, 40.0), (300, 40))
    assert np.array_equal(loading.load(whole).pixels, pixels)
    assert np.array_equal(loading.load(replace(whole, flipped=True)).pixels, pixels[:, ::-1])


def test_the_same_thing_twice_blurred_and_tiny_ones_are_marked(tmp_path):
    rows, columns = np.mgrid[:256, :256]
    sharp = np.kron(noise((8, 8), 5), np.ones((32, 32, 1), np.uint8)) // 2
    soft = np.stack([(rows // 2 + columns // 3).astype(np.uint8)] * 3, 2)
    small = np.zeros((256, 256), np.uint8)
    small[60:90, 60:90] = 255
    brighter = np.asarray(Image.fromarray(sharp).resize((200, 200)).point(lambda value: min(value + 15, 255)))
    examples = (
        TrainingExample(save(sharp, tmp_path / "a.png"), "stripes", source="one"),
        TrainingExample(save(brighter, tmp_path / "b.jpg"), "stripes", source="one", repeats=2),
        TrainingExample(save(soft, tmp_path / "c.png"), ""),
        TrainingExample(save(noise((256, 256), 3), tmp_path / "d.png"), "noise", save(small, tmp_path / "e.png"), source="two"),
    )
    inspection = inspect(DataSet(examples), 256)
    assert [marks.names for marks in inspection.marks] == [(), ("duplicate",), ("blurred", "no caption"), ("tiny",)]
    assert inspection.marks[1].same_as == 0
    balance = inspection.balance
    assert (balance.turns, balance.masked, balance.largest_source, balance.words["stripes"]) == (5, 1, 0.6, 3)


def test_kept_sets_grow_change_and_shrink(data_set, tmp_path):
    collection = Collection(tmp_path / "datasets")
    collection.create("balls", "ohwx")
    mask = np.zeros((64, 96), bool)
    mask[10:30, 40:60] = True
    photo = data_set.examples[0].picture.read_bytes()
    ids = collection.add("balls", [NewExample("beach.jpg", photo, f"ball {number}", mask, source="s") for number in range(2)])
    assert ids == ["beach", "beach_2"] and collection.names() == ["balls"]
    first, second = collection.get("balls").examples
    assert first.picture.samefile(second.picture)  # one photograph of two objects takes its room once
    changed = collection.change("balls", {"beach_2": ExampleChange("a  blue\nball", 4)}, "sks")
    assert changed == collection.get("balls") and changed.trigger == "sks" and changed.examples[0].caption == "ball 0"
    assert (changed.examples[1].caption, changed.examples[1].repeats) == ("a blue ball", 4)
    assert json.loads((tmp_path / "datasets/balls/metadata.jsonl").read_text().splitlines()[1])["text"] == "sks, a blue ball"
    collection.set_mask("balls", "beach", ~mask)
    assert np.array_equal(mask_of(collection.get("balls").examples[0]) > 0, ~mask)
    assert collection.take("balls", data_set) == 4 and collection.take("copied", data_set) == 4
    assert contents(collection.get("copied")) == contents(data_set) and collection.get("copied").trigger == "ohwx"
    collection.discard("balls", ["beach"])
    assert [example.picture.is_file() for example in collection.get("balls").examples] == [True] * 5
    broken = replace(data_set, examples=(data_set.examples[0], TrainingExample(tmp_path / "none.png")))
    with pytest.raises(InvalidInput, match="none"):
        collection.take("new", broken)
    with pytest.raises(InvalidInput, match="none"):
        collection.take("balls", broken)
    assert collection.names() and "new" not in collection.names() and len(collection.get("balls").examples) == 5
    kept = set((tmp_path / "datasets/balls").rglob("*.png"))
    example_files = {file for example in collection.get("balls").examples for file in vars(example).values() if isinstance(file, Path)}
    assert kept == example_files  # nothing is left of what failed, was replaced or deleted
    save(noise((8, 8), 1), tmp_path / "datasets/by hand/a.png")
    (tmp_path / "datasets/by hand/a.txt").write_text("put there by hand")
    assert collection.change("by hand", {"a": ExampleChange(repeats=2)}) == collection.get("by hand")
    assert [(example.caption, example.repeats) for example in collection.get("by hand").examples] == [("put there by hand", 2)]
    collection.delete("by hand")
    collection.delete("balls")
    assert collection.names() == ["copied"] and [path.name for path in (tmp_path / "datasets").iterdir()] == ["copied"]
    for name in ("", "a/b", "..", "con", "x" * 81):
        with pytest.raises(InvalidInput, match="called"):
            collection.create(name)


def test_published_parquet_files_are_unpacked(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = []
    for number in range(3):
        files = [save(noise((16, 8), number + 9 * side), tmp_path / f"{number}{side}.png") for side in (0, 1)]
        before, after = ({"bytes": file.read_bytes(), "path": None} for file in files)
        rows.append({"original_image": before, "edit_prompt": f"edit {number}", "edited_image": after, "original_prompt": "x"})
    (tmp_path / "data").mkdir()
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(InvalidInput, match="Parquet"):
        open_data_set(tmp_path / "data")
    (tmp_path / "out").mkdir()
    unpack(parquet_files(tmp_path), tmp_path / "out")
    examples = open_data_set(tmp_path / "out").examples
    assert [example.caption for example in examples] == ["edit 0", "edit 1", "edit 2"]
    assert np.array_equal(read_picture(examples[2].picture).pixels, noise((16, 8), 11))
    assert examples[2].before is not None and np.array_equal(read_picture(examples[2].before).pixels, noise((16, 8), 2))
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InvalidInput, match="no Parquet file"):
        unpack(parquet_files(tmp_path), tmp_path / "out")
