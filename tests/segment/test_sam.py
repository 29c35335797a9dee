"""Our path through SAM, MobileSAM and SAM-HQ gives the masks of the packages' own predictors, on the same random weights."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, Interrupted, InvalidInput, OutOfMemory
from clickpaint.progress import Progress, Step
from clickpaint.segment import sam
from clickpaint.segment.base import Candidate, Point, Prompts
from clickpaint.weights.device import Device
from tests.segment import toys
from tests.segment.toys import iou

torch = pytest.importorskip("torch")
segment_anything = pytest.importorskip("segment_anything") if torchvision.available() is None else pytest.skip(
    "torchvision cannot be imported", allow_module_level=True
)  # fmt: skip

ONE = Prompts((Point(200, 120),))
CLICKS = Prompts((Point(200, 120), Point(50, 60, 0), Point(300.5, 10.25)))
BOX = Prompts(box=(40.0, 30.0, 333.0, 200.0))
BOTH = Prompts((Point(200, 120), Point(50, 60, 0)), (40.0, 30.0, 333.0, 200.0))


@pytest.fixture(scope="module")
def reference() -> Any:
    return toys.randomised(toys.build_sam)


@pytest.fixture(scope="module")
def store(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> toys.OneFile:
    return toys.saved(reference, tmp_path_factory.mktemp("sam") / "toy.pth")


@pytest.fixture(scope="module")
def segmenter(store: toys.OneFile) -> sam.Sam:
    return toys.ToySam("sam_vit_b", "sam_vit_b", store, Device(), toys.cache())


def asked(predictor: Any, prompts: Prompts, multimask: bool, **more: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = np.array([(p.x, p.y) for p in prompts.points]) if prompts.points else None
    labels = np.array([p.label for p in prompts.points]) if prompts.points else None
    box = None if prompts.box is None else np.array(prompts.box)
    return predictor.predict(points, labels, box, prompts.previous, multimask_output=multimask, **more)


def same(candidate: Candidate, mask: np.ndarray, score: float, logits: np.ndarray) -> None:
    assert candidate.mask.dtype == bool
    assert candidate.mask.shape == mask.shape
    assert np.array_equal(candidate.mask, mask)
    assert candidate.score == pytest.approx(min(max(float(score), 0), 1), abs=1e-6)
    assert candidate.logits is not None
    assert candidate.logits.shape == (1, 256, 256)
    assert candidate.logits.dtype == np.float32
    assert np.array_equal(candidate.logits[0], logits)


@pytest.mark.parametrize("shape", [(240, 360), (513, 301), (1100, 1500), (3, 1000), (40, 40)])
def test_one_click_gives_the_predictors_three_masks_best_first(reference: Any, segmenter: sam.Sam, shape: tuple[int, int]) -> None:
    pixels = toys.photo(*shape)
    predictor = segment_anything.SamPredictor(reference)
    predictor.set_image(pixels)
    prompts = Prompts((Point(shape[1] * 0.4, shape[0] * 0.3),))
    embedding = segmenter.encode(pixels)
    assert (embedding.segmenter, embedding.width, embedding.height) == ("sam_vit_b", shape[1], shape[0])
    assert embedding.nbytes == 256 * 64 * 64 * 4
    candidates = segmenter.predict(embedding, prompts)
    masks, scores, logits = asked(predictor, prompts, multimask=True)
    assert len(candidates) == 3
    for candidate, index in zip(candidates, np.argsort(-scores, kind="stable"), strict=True):
        same(candidate, masks[index], scores[index], logits[index])


@pytest.mark.parametrize("prompts", [CLICKS, BOX, BOTH], ids=["clicks", "box", "box and clicks"])
def test_definite_prompts_give_the_single_mask_first(reference: Any, segmenter: sam.Sam, prompts: Prompts) -> None:
    pixels = toys.photo(240, 360)
    predictor = segment_anything.SamPredictor(reference)
    predictor.set_image(pixels)
    candidates = segmenter.predict(segmenter.encode(pixels), prompts)
    single, three = asked(predictor, prompts, multimask=False), asked(predictor, prompts, multimask=True)
    assert len(candidates) == 3
    same(candidates[0], single[0][0], single[1][0], single[2][0])
    for candidate, index in zip(candidates[1:], np.argsort(-three[1], kind="stable")[:2], strict=True):
        same(candidate, three[0][index], three[1][index], three[2][index])


def test_the_previous_answer_is_refined(reference: Any, segmenter: sam.Sam) -> None:
    pixels = toys.photo(240, 360)
    predictor = segment_anything.SamPredictor(reference)
    predictor.set_image(pixels)
    embedding = segmenter.encode(pixels)
    first = segmenter.predict(embedding, ONE)
    before = first[0].logits.copy()
    refined = Prompts((*ONE.points, Point(20, 20, 0)), previous=first[0].logits)
    candidates = segmenter.predict(embedding, refined)
    masks, scores, logits = asked(predictor, refined, multimask=False)
    same(candidates[0], masks[0], scores[0], logits[0])
    assert np.array_equal(first[0].logits, before)
    assert not np.array_equal(candidates[0].mask, segmenter.predict(embedding, Prompts(refined.points))[0].mask)


def test_a_box_is_clipped_to_the_picture(segmenter: sam.Sam) -> None:
    embedding = segmenter.encode(toys.photo(100, 200))
    outside, inside = (segmenter.predict(embedding, Prompts(box=box)) for box in ((-50, 20, 900, 80), (0, 20, 200, 80)))
    assert np.array_equal(outside[0].mask, inside[0].mask)


def test_mobile_sam_gives_its_predictors_masks(tmp_path: Path) -> None:
    mobile_sam = pytest.importorskip("mobile_sam")
    reference = toys.randomised(mobile_sam.sam_model_registry["vit_t"])
    store = toys.saved(reference, tmp_path / "mobile_sam.pt")
    segmenter = sam.MobileSam("mobile_sam", "mobile_sam", store, Device(), toys.cache())
    pixels = toys.photo(211, 400)
    predictor = mobile_sam.SamPredictor(reference)
    predictor.set_image(pixels)
    exact = segmenter.encode(pixels)
    candidates = segmenter.predict(exact, ONE)
    masks, scores, logits = asked(predictor, ONE, multimask=True)
    for candidate, index in zip(candidates, np.argsort(-scores, kind="stable"), strict=True):
        same(candidate, masks[index], scores[index], logits[index])


def test_half_precision_changes_the_masks_little(segmenter: sam.Sam, store: toys.OneFile) -> None:
    half = toys.ToySam("sam_vit_b", "sam_vit_b", store, Device("cpu", "bfloat16"), toys.cache())
    pixels = toys.photo(333, 500)
    exact, rounded = segmenter.encode(pixels), half.encode(pixels)
    assert rounded.data[0].dtype == torch.float32
    assert not torch.equal(exact.data[0], rounded.data[0])
    for prompts in (ONE, CLICKS, BOTH, BOX):
        for one, other in zip(segmenter.predict(exact, prompts), half.predict(rounded, prompts), strict=True):
            assert iou(one.mask, other.mask) >= 0.98


def test_a_picture_resized_as_on_a_card_has_the_same_masks(segmenter: sam.Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    from clickpaint.segment import resizing

    pixels = np.random.default_rng(5).integers(0, 256, (150, 200, 3), np.uint8)
    prompts = Prompts((Point(90, 60),))
    expected = segmenter.predict(segmenter.encode(pixels), prompts)
    monkeypatch.setattr(resizing, "_FILTERS", ("cpu",))
    for ours, reference in zip(segmenter.predict(segmenter.encode(pixels), prompts), expected, strict=True):
        assert (ours.mask ^ reference.mask).mean() < 0.002 and abs(ours.score - reference.score) < 0.01


def test_sam_hq_gives_its_predictors_mask_first(tmp_path: Path) -> None:
    hq = pytest.importorskip("segment_anything_hq")
    reference = toys.randomised(toys.build_hq)
    segmenter = toys.ToyHq("sam_hq_vit_b", "sam_hq_vit_b", toys.saved(reference, tmp_path / "hq.pth"), Device(), toys.cache())
    pixels = toys.photo(240, 360)
    predictor = hq.SamPredictor(reference)
    with torch.no_grad():
        predictor.set_image(pixels)
    embedding = segmenter.encode(pixels)
    for prompts, multimask in ((ONE, True), (BOTH, False), (BOX, False)):
        candidates = segmenter.predict(embedding, prompts)
        masks, scores, logits = asked(predictor, prompts, multimask=multimask, hq_token_only=False)
        assert len(candidates) == 3
        same(candidates[0], masks[0], scores[0], logits[0])
    assert embedding.nbytes == sum(tensor.nbytes for tensor in embedding.data)


def test_nothing_is_written_to(segmenter: sam.Sam) -> None:
    pixels = toys.photo(50, 70)
    pixels.setflags(write=False)
    embedding = segmenter.encode(pixels)
    features = embedding.data[0].clone()
    first = segmenter.predict(embedding, Prompts((Point(3, 4),)))
    again = segmenter.predict(embedding, Prompts((Point(3, 4),)))
    assert torch.equal(embedding.data[0], features)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, again, strict=True))


def test_encoding_reports_every_block_and_stops_between_two(segmenter: sam.Sam) -> None:
    steps: list[Step] = []
    segmenter.encode(toys.photo(50, 70), Progress(steps.append))
    assert [step.fraction for step in steps if step.text == "Encoding the picture"] == [0.0, 0.0, 0.5]

    seen: list[Step] = []
    with pytest.raises(Interrupted):
        segmenter.encode(toys.photo(50, 70), Progress(seen.append, interrupted=lambda: len(seen) >= 2))
    assert [step.fraction for step in seen] == [0.0, 0.0]
    blocks = segmenter._blocks(segmenter._network().module)
    assert not any(block._forward_pre_hooks for block in blocks)
    assert segmenter.encode(toys.photo(50, 70)).width == 70


def test_two_pictures_at_once_do_not_mix(segmenter: sam.Sam) -> None:
    pictures = [toys.photo(60 + 10 * i, 80, seed=i) for i in range(3)]
    alone = [segmenter.encode(pixels).data[0] for pixels in pictures]
    states: dict[int, tuple[Any, set[float | None]]] = {}

    def work(index: int) -> None:
        steps: list[Step] = []
        embedding = segmenter.encode(pictures[index], Progress(steps.append))
        states[index] = embedding, {step.fraction for step in steps}

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(3):
        assert torch.equal(states[index][0].data[0], alone[index])
        assert states[index][1] == {0.0, 0.5}


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(),
        Prompts((Point(100, 20),)),
        Prompts((Point(float("nan"), 20),)),
        Prompts((Point(20, 20, 0),)),
        Prompts(box=(30, 10, 30, 40)),
        Prompts((Point(20, 20),), previous=np.zeros((256, 256), np.float32)),
        Prompts((Point(20, 20),), previous=np.full((1, 256, 256), np.inf, np.float32)),
    ],
)
def test_prompts_that_cannot_be_used(segmenter: sam.Sam, prompts: Prompts) -> None:
    embedding = segmenter.encode(toys.photo(60, 100))
    with pytest.raises(InvalidInput) as caught:
        segmenter.predict(embedding, prompts)
    assert caught.value.remedy


def test_an_embedding_of_another_segmenter_is_refused(segmenter: sam.Sam, store: toys.OneFile) -> None:
    other = toys.ToySam("sam_vit_l", "sam_vit_l", store, Device(), toys.cache())
    with pytest.raises(InvalidInput, match="sam_vit_b"):
        other.predict(segmenter.encode(toys.photo(20, 20)), Prompts((Point(1, 1),)))


def test_a_file_with_other_weights_is_corrupt(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    segmenter = toys.ToySam("sam_vit_b", "sam_vit_b", toys.OneFile(tmp_path / "other.pth"), Device(), toys.cache())
    with pytest.raises(CorruptModel, match=r"other\.pth"):
        segmenter.encode(toys.photo(20, 20))

    weights = {key: value[:1] for key, value in toys.randomised(toys.build_sam).state_dict().items()}
    torch.save(weights, tmp_path / "cut.pth")
    segmenter = toys.ToySam("sam_vit_b", "sam_vit_b", toys.OneFile(tmp_path / "cut.pth"), Device(), toys.cache())
    with pytest.raises(CorruptModel, match=r"cut\.pth"):
        segmenter.encode(toys.photo(20, 20))


def test_weights_are_loaded_once_as_float32_and_again_after_unloading(reference: Any, tmp_path: Path) -> None:
    torch.save({key: value.half() for key, value in reference.state_dict().items()}, tmp_path / "half.pth")
    store, cache = toys.OneFile(tmp_path / "half.pth"), toys.cache()
    segmenter = toys.ToySam("sam_vit_b", "sam_vit_b", store, Device(), cache)
    segmenter.encode(toys.photo(20, 20))
    segmenter.encode(toys.photo(20, 30))
    assert store.asked == ["sam_vit_b"]
    (held,) = cache.contents()
    assert held.nbytes == pytest.approx(sum(value.nbytes for value in reference.state_dict().values()), rel=0.01)
    cache.unload()
    segmenter.encode(toys.photo(20, 20))
    assert len(store.asked) == 2


def test_when_memory_runs_out_other_models_go_and_it_is_tried_again(store: toys.OneFile, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = toys.cache()
    cache.get("another model", lambda: (object(), 1))
    segmenter = toys.ToySam("sam_vit_b", "sam_vit_b", store, Device(), cache)
    encoded, failures = segmenter._encoded, [RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")]

    def sometimes(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return encoded(*arguments)

    monkeypatch.setattr(segmenter, "_encoded", sometimes)
    assert segmenter.encode(toys.photo(20, 20)).nbytes > 0
    assert [held.key[1] for held in cache.contents()] == ["sam_vit_b"]

    failures.extend(RuntimeError("out of memory") for _ in range(9))
    with pytest.raises(OutOfMemory) as caught:
        segmenter.encode(toys.photo(20, 20))
    assert "cpu" in caught.value.remedy


def test_a_device_without_room_leaves_the_encoding_to_the_cpu(store: toys.OneFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The "device" is the CPU under another name, so that tensors can be moved to it."""
    encoded = toys.ToySam._encoded

    class Full(Device):
        @property
        def kind(self) -> str:
            return "toy"

    def only_on_the_cpu(self: Any, *arguments: Any) -> Any:
        if self._device.kind == "toy":
            raise RuntimeError("toy: out of memory")
        return encoded(self, *arguments)

    monkeypatch.setattr(toys.ToySam, "_encoded", only_on_the_cpu)
    segmenter = toys.ToySam("sam_vit_b", "sam_vit_b", store, Full("cpu"), toys.cache())
    expected = toys.ToySam("sam_vit_b", "sam_vit_b", store, Device(), toys.cache()).encode(toys.photo(20, 20))
    assert torch.equal(segmenter.encode(toys.photo(20, 20)).data[0], expected.data[0])


def test_every_size_is_one_that_its_package_builds() -> None:
    import importlib

    for kind in (sam.Sam, sam.MobileSam, sam.SamHq, sam.LightSamHq):
        package = pytest.importorskip(kind.package)
        assert set(kind.builders.values()) <= set(importlib.import_module(package.__name__).sam_model_registry)
