"""Everything mode: the reference's regions on the same weights; ranked, distinct, small in memory; maps that can be clicked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.compat import torchvision
from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress, Step
from clickpaint.segment import everything as mode
from clickpaint.segment import grid, sam
from clickpaint.segment.base import Candidate, Embedding, Point, Prompts
from clickpaint.segment.everything import EverythingOptions, Region, everything, label_map, overview
from clickpaint.segment.neural_segmenter import NeuralSegmenter
from clickpaint.weights.device import Device
from tests.segment import toys

torch = pytest.importorskip("torch")
needs_torchvision = pytest.mark.skipif(torchvision.available() is not None, reason="torchvision cannot be imported")


class Discs(NeuralSegmenter):
    """Sees discs at known places (x, y, radius); of a point it gives the disc there, all discs, and nothing."""

    def __init__(self, *discs: tuple[float, float, float], scores: tuple[float, float, float] = (0.95, 0.9, 0.3)) -> None:
        super().__init__("discs", "discs", toys.OneFile(None), Device(), toys.cache())  # type: ignore[arg-type]
        self.discs = discs
        self.scores = scores
        self.batches: list[int] = []
        self.encoded: list[tuple[int, int]] = []

    def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
        self.encoded.append(pixels.shape[:2])
        return Embedding(self.name, pixels.shape[1], pixels.shape[0], 0, None)

    def decode_points(self, embedding: Embedding, points: np.ndarray) -> tuple[Any, Any]:
        self.batches.append(len(points))
        y, x = np.mgrid[:256, :256] + 0.5
        x, y = x * embedding.width / 256, y * embedding.height / 256
        depth = np.stack([radius - np.hypot(x - left, y - top) for left, top, radius in self.discs]).astype(np.float32)
        logits, scores = [], []
        for px, py in points:
            here = [index for index, (left, top, radius) in enumerate(self.discs) if np.hypot(px - left, py - top) < radius]
            one = depth[here[0]] if here else np.full_like(depth[0], -9)
            logits.append([one * 20, depth.max(axis=0) * 20, np.full_like(one, -9)])
            scores.append(self.scores)
        return torch.tensor(np.array(logits, np.float32)), torch.tensor(scores)

    def _unpadded(self, embedding: Embedding, logits: Any) -> Any:
        return logits

    def _unused(self, *_: Any) -> Any:
        raise AssertionError

    _build = _encoder_size = _blocks = _encoded = _decode = _scale = _unused


def blank(height: int = 200, width: int = 300) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


def test_every_object_once_the_best_first() -> None:
    discs = Discs((60, 60, 30), (150, 100, 40), (250, 50, 25))
    regions = everything(discs, blank(), EverythingOptions(points_per_side=16))
    assert [round(region.score, 2) for region in regions] == [0.95, 0.95, 0.95, 0.9]
    y, x = np.mgrid[:200, :300] + 0.5
    for left, top, radius in discs.discs:
        expected = np.hypot(x - left, y - top) < radius
        assert max((region.mask & expected).sum() / (region.mask | expected).sum() for region in regions) > 0.97
    whole = regions[3]
    assert whole.area == int(whole.mask.sum()) > sum(region.area for region in regions[:3]) * 0.97
    assert whole.box == masks.bounds(whole.mask)
    assert discs.batches == [8] * 32
    assert discs.encoded == [(200, 300)]


def test_an_embedding_that_is_there_is_used() -> None:
    discs = Discs((60, 60, 30))
    embedding = discs.encode(blank())
    assert everything(discs, blank(), EverythingOptions(points_per_side=8), embedding=embedding)
    assert len(discs.encoded) == 1


def test_scores_and_stability_decide() -> None:
    discs = Discs((60, 60, 30), (150, 100, 40))
    options = EverythingOptions(points_per_side=8)
    assert len(everything(discs, blank(), options)) == 3
    assert len(everything(discs, blank(), EverythingOptions(points_per_side=8, pred_iou_thresh=0.94))) == 2
    assert everything(discs, blank(), EverythingOptions(points_per_side=8, pred_iou_thresh=0.96)) == []
    # 20 logits per pixel: cut 200 higher and lower, a disc of radius 30 is one of 20 or of 40.
    assert everything(discs, blank(), EverythingOptions(points_per_side=8, stability_score_offset=100, stability_score_thresh=0.9)) == []
    loose = EverythingOptions(points_per_side=8, stability_score_offset=100, stability_score_thresh=0.3)
    assert len(everything(discs, blank(), loose)) == 3


def test_crops_find_what_is_not_cut_by_their_edges() -> None:
    class Local(Discs):
        """Sees only what lies in the crop that was encoded last; the crop's place comes with its pixels."""

        def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
            left, top = int(pixels[0, 0, 0]), int(pixels[0, 0, 1])
            self.discs = tuple((x - left, y - top, r) for x, y, r in ((60.0, 60.0, 12.0), (130.0, 100.0, 12.0)))
            return super().encode(pixels)

    pixels = np.zeros((200, 250, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(250), np.arange(200)[:, None]
    discs = Local((0, 0, 1), scores=(0.95, 0.2, 0.3))
    regions = everything(discs, pixels, EverythingOptions(points_per_side=20, crop_n_layers=1))
    assert len(discs.encoded) == 5
    assert sorted(region.box.center for region in regions) == [pytest.approx((60, 60), abs=1), pytest.approx((130, 100), abs=1)]


def test_small_holes_and_pieces_go() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:25, 5:25] = True
    mask[10:12, 10:12] = False
    mask[30, 50] = True
    region = Region.scored(mask, 0.9)
    assert region is not None
    (cleaned,) = mode._cleaned([region], EverythingOptions(min_mask_region_area=10))
    expected = np.zeros((40, 60), bool)
    expected[5:25, 5:25] = True
    assert np.array_equal(cleaned.mask, expected)
    speck = Region.scored(np.eye(60, dtype=bool)[:40] & (np.arange(60) < 3), 0.9)
    assert speck is not None
    assert mode._cleaned([speck], EverythingOptions(min_mask_region_area=10))[0].area == 3


def test_it_reports_and_stops() -> None:
    discs = Discs((60, 60, 30))
    steps: list[Step] = []
    everything(discs, blank(), EverythingOptions(points_per_side=8), Progress(steps.append))
    fractions = [step.fraction for step in steps if step.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert steps[-1].done == steps[-1].total == 64
    discs.batches.clear()
    with pytest.raises(Interrupted):
        everything(discs, blank(), EverythingOptions(points_per_side=8), Progress(interrupted=lambda: len(discs.batches) >= 2))
    assert len(discs.batches) == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("points_per_side", 0), ("points_per_side", 4000), ("points_per_batch", 0), ("pred_iou_thresh", 1.5), ("crop_n_layers", 9),
        ("pred_iou_thresh", float("nan")), ("box_nms_thresh", -0.1), ("min_mask_region_area", -1), ("points_per_side", 2.5),
    ],
)  # fmt: skip
def test_options_out_of_range(option: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=option) as caught:
        everything(Discs((1, 1, 1)), blank(), EverythingOptions(**{option: value}))  # type: ignore[arg-type]
    assert caught.value.data["option"] == option


def test_a_segmenter_with_its_own_way_is_asked_that_way() -> None:
    class Halves:
        name = "halves"

        def regions(self, pixels: np.ndarray, progress: Progress = SILENT) -> list[Candidate]:
            left = np.zeros(pixels.shape[:2], bool)
            left[:, :100] = True
            almost = left.copy()
            almost[0, 0] = False
            return [Candidate(almost, 0.4), Candidate(left, 0.6), Candidate(~left, 0.8), Candidate(np.zeros_like(left), 1.0)]

        def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
            raise AssertionError

        def predict(self, embedding: Embedding, prompts: Prompts, progress: Progress = SILENT) -> list[Candidate]:
            raise AssertionError

    regions = everything(Halves(), blank())
    assert [(region.score, region.box) for region in regions] == [(0.8, Box(100, 0, 300, 200)), (0.6, Box(0, 0, 100, 200))]

    class Neither:
        name = "neither"

    with pytest.raises(InvalidInput, match="neither"):
        everything(Neither(), blank())  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 999))
def test_a_region_holds_its_mask(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) > 0.9
    before = mask.copy()
    region = Region.scored(mask, 0.5)
    assert np.array_equal(mask, before)
    if region is None:
        assert not mask.any()
        return
    assert np.array_equal(region.mask, mask)
    assert region.area == mask.sum()
    moved = Region.scored(mask, 0.5, (width + 7, height + 5), (3, 4))
    assert moved is not None
    assert np.array_equal(moved.mask[4 : 4 + height, 3 : 3 + width], mask)
    assert moved.mask.sum() == mask.sum()


def test_the_label_map_means_the_smallest_region() -> None:
    whole, part = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    whole[1:4, 1:5] = True
    part[2:3, 2:4] = True
    labels = label_map([Candidate(part, 0.9), Candidate(whole, 0.8), Candidate(np.zeros((4, 6), bool), 0.7)], (6, 4))
    assert labels.dtype == np.uint16
    assert labels.tolist() == [[0, 0, 0, 0, 0, 0], [0, 2, 2, 2, 2, 0], [0, 2, 1, 1, 2, 0], [0, 2, 2, 2, 2, 0]]


def test_the_overview_colours_every_region_and_leaves_the_rest() -> None:
    first, second = np.zeros((900, 1300), bool), np.zeros((900, 1300), bool)
    first[100:850, 50:400] = True
    second[200:700, 600:1200] = True
    pixels = blank(900, 1300)
    seen = overview(pixels, [Candidate(first, 0.9), Candidate(second, 0.8)])
    assert (pixels == 120).all()
    assert (seen.shape, seen.dtype) == (pixels.shape, np.uint8)
    outside = ~masks.grow(first | second, 2)
    assert (seen[outside] == 120).all()
    inner = [np.unique(seen[masks.shrink(mask, 2)], axis=0) for mask in (first, second)]
    assert [len(colours) for colours in inner] == [1, 1]
    assert np.abs(inner[0].astype(int) - inner[1]).max() > 60
    assert (seen[100, 50:400] == 235).all()  # the line along the upper edge
    assert (seen[100:850, 50] == 235).all()
    assert overview(pixels, []).tolist() == pixels.tolist()


def test_boxes_that_overlap_a_better_one_go() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [0, 0, 10, 10]], float)
    assert grid.distinct(boxes, np.array([0.5, 0.9, 0.1, 0.4]), 0.7).tolist() == [1, 2]
    assert grid.distinct(np.zeros((0, 4)), np.zeros(0), 0.7).tolist() == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, sam.Sam]:
    pytest.importorskip("segment_anything")
    reference = toys.randomised(toys.build_sam, seed=3)
    store = toys.saved(reference, tmp_path_factory.mktemp("everything") / "toy.pth")
    return reference, toys.ToySam("sam_vit_b", "sam_vit_b", store, Device(), toys.cache())


@needs_torchvision
class TestAgainstTheReference:
    @pytest.mark.parametrize(("layers", "per_side", "at_once"), [(0, 3, 4), (1, 3, 4)])  # the last batch is never full
    def test_the_same_regions(
        self, both: tuple[Any, sam.Sam], layers: int, per_side: int, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from segment_anything import SamAutomaticMaskGenerator

        reference, segmenter = both
        pixels = toys.photo(90, 130)
        values: dict[str, Any] = {
            "points_per_side": per_side, "points_per_batch": at_once, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.5,
            "stability_score_offset": 0.01, "box_nms_thresh": 0.95, "crop_n_layers": layers, "crop_n_points_downscale_factor": 2,
        }  # fmt: skip
        expected = SamAutomaticMaskGenerator(reference, **values).generate(pixels)
        monkeypatch.setattr(mode, "_without_copies", lambda regions: regions)  # ours alone
        results = everything(segmenter, pixels, EverythingOptions(**values))
        assert len(results) == len(expected) >= 2 - layers  # noise fills its crop, and goes where that is cut
        key = lambda mask: mask.tobytes()  # noqa: E731
        assert sorted(key(region.mask) for region in results) == sorted(key(one["segmentation"]) for one in expected)
        scores = sorted(min(max(one["predicted_iou"], 0), 1) for one in expected)
        assert sorted(region.score for region in results) == pytest.approx(scores, abs=1e-5)

    def test_the_grid_is_the_references(self) -> None:
        amg = pytest.importorskip("segment_anything.utils.amg")
        for per_side in (1, 2, 32):
            assert np.allclose(grid.points(per_side), amg.build_point_grid(per_side))
        for size in ((640, 480), (1000, 37), (5, 900)):
            boxes, layers = amg.generate_crop_boxes(size[::-1], 2, 512 / 1500)
            assert [(tuple(box), layer) for box, layer in zip(boxes, layers, strict=True)] == grid.crops(size, 2, 512 / 1500)

    def test_a_point_alone_is_a_point_among_many(self, both: tuple[Any, sam.Sam], monkeypatch: pytest.MonkeyPatch) -> None:
        segmenter = both[1]
        embedding = segmenter.encode(toys.photo(90, 130))
        points = np.array([[10.0, 20.0], [100.0, 80.0], [64.5, 33.25]])
        logits, scores = segmenter.decode_points(embedding, points)
        for index, (x, y) in enumerate(points):
            best = segmenter.predict(embedding, Prompts((Point(x, y),)))[0]
            assert best.logits is not None
            assert np.allclose(logits[index, int(scores[index].argmax())].numpy(), best.logits[0], atol=1e-5)

        whole, tried = segmenter._decoded_in_turn, []

        def small(embedding: Embedding, coords: Any, at_once: int) -> Any:
            tried.append(at_once)
            if at_once > 1:
                raise RuntimeError("out of memory")
            return whole(embedding, coords, at_once)

        monkeypatch.setattr(segmenter, "_decoded_in_turn", small)
        again, _ = segmenter.decode_points(embedding, points)
        assert tried == [3, 1]
        assert np.allclose(again.numpy(), logits.numpy(), atol=1e-5)
