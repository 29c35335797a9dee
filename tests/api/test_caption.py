"""Captions, questions, everything and finding over HTTP: the toy host says the colour it sees, a local server is the text model."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from clickpaint.caption.region import RegionOptions, crop_region
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.paint.in_picture import PaintResult
from clickpaint.studio.selecting import stroke_prompts
from tests.caption.text_server import text_server
from tests.image.rle import from_rle
from tests.toys.studio import BLUE, GREY, RED, file_of, pixels

NAMES = {RED: "red", BLUE: "blue", GREY: "grey"}


@pytest.fixture
def speaking(studio):
    """The studio, whose host says which colour the middle of a picture has."""
    host = studio.toy
    host.can_caption = True
    plain = host.caption

    def caption(seen, beams, tokens):
        plain(seen, beams, tokens)
        middle = tuple(seen[seen.shape[0] // 2, seen.shape[1] // 2].tolist())
        words = ["a", NAMES.get(middle, "strange"), "thing", f"{beams or 3}"]
        return " ".join(words + ["more"] * ((tokens[0] - 8) if tokens else 0))

    # what was handed out at the start is the method itself
    studio.captioners._here.__dict__["caption"] = caption
    return studio


@pytest.fixture
def server(studio):
    with text_server() as server:
        studio.toy.settings.update(text_model_url=server.address, text_model_key="secret-key", text_model_seconds=1)
        yield server


@pytest.fixture
def id(client, speaking):
    id = client.post("workspaces", files={"file": ("toy.png", file_of(pixels()))}).json()["id"]
    client.post(f"workspaces/{id}/select", json={"points": [{"x": 30, "y": 20}]})
    return id


def events(text):
    """(name, data) of every server-sent event."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(block.split("\n")[0].removeprefix("event: "), json.loads(block.split("\n")[1].removeprefix("data: "))) for block in blocks]


def png(image):
    return base64.b64encode(file_of(image)).decode()


def test_the_captioner_sees_the_selection(client, id, speaking):
    answer = client.post(f"workspaces/{id}/caption").json()
    assert answer["text"] == "a red thing 3" and answer["prompt"] == "red thing 3" and answer["captioner"] == "host"
    assert answer["box"] == [20, 13, 40, 26] and answer["failure"] is None and answer["refined"] is None
    mask = np.zeros((40, 60), bool)
    mask[13:26, 20:40] = True
    np.testing.assert_array_equal(speaking.toy.captioned[-1][0], crop_region(pixels(), mask).pixels)


@pytest.mark.parametrize("region", [{"padding": 1}, {"background": "white"}, {"background": "dim"}, {"smallest": 512}])
def test_every_control_of_the_region_changes_what_is_seen(client, id, speaking, region):
    client.post(f"workspaces/{id}/caption")
    client.post(f"workspaces/{id}/caption", json={"region": region})
    (plain, *_), (seen, *_) = speaking.toy.captioned[-2:]
    assert plain.shape != seen.shape or (plain != seen).any()
    mask = np.zeros((40, 60), bool)
    mask[13:26, 20:40] = True
    np.testing.assert_array_equal(seen, crop_region(pixels(), mask, RegionOptions(**region)).pixels)


def test_without_a_selection_the_whole_picture_is_described(client, id, speaking):
    client.post(f"workspaces/{id}/mask", json={"operations": [{"op": "clear"}]})
    answer = client.post(f"workspaces/{id}/caption").json()
    assert answer["box"] is None
    np.testing.assert_array_equal(speaking.toy.captioned[-1][0], pixels())


def test_a_context_is_the_whole_picture(client, id, speaking):
    answer = client.post(f"workspaces/{id}/caption", json={"context": True}).json()
    np.testing.assert_array_equal(speaking.toy.captioned[-1][0], pixels())
    assert answer["context"].startswith("a red thing")


def test_length_candidates_and_form_work_without_a_text_model(client, id):
    answer = client.post(f"workspaces/{id}/caption", json={"style": {"length": 12}, "candidates": 3}).json()
    assert len(answer["wordings"]) == 3
    assert all(10 <= len(one["text"].split()) <= 14 for one in answer["wordings"])
    assert client.post(f"workspaces/{id}/caption", json={"style": {"form": "prompt"}}).json()["text"] == "red thing 3"


def test_what_needs_a_text_model_is_refused_with_the_reason_and_the_raw_caption_stays(client, id):
    controls = client.get("captioners").json()["controls"]
    assert not controls["language"]["available"] and "text model" in controls["language"]["reason"] and controls["caption"]["available"]
    for style in ({"language": "French"}, {"wiki": True}):
        answer = client.post(f"workspaces/{id}/caption", json={"style": style}).json()
        assert answer["text"] == "a red thing 3" and "Without a text model" in answer["failure"]["message"]
    assert "Without a text model" in client.post(f"workspaces/{id}/caption", json={"refine": True}).json()["failure"]["message"]


STYLES = [
    {"length": 20}, {"sentiment": "positive"}, {"sentiment": "negative"}, {"factuality": "imagination"}, {"form": "prompt"},
    {"language": "French"}, {"language": "Cantonese"},
]  # fmt: skip


def test_every_control_reaches_the_text_model(client, id, server):
    server.answers = ["a red thing that lies in the grey and has more words than one would ever need here today"]
    client.post(f"workspaces/{id}/caption", json={"refine": True})
    asked = [server.prompt]
    for style in STYLES:
        answer = client.post(f"workspaces/{id}/caption", json={"style": style}).json()
        assert answer["refined"] == answer["text"] and answer["failure"] is None
        asked.append(server.asked[-1]["messages"][1]["content"])
    assert len(set(asked)) == len(STYLES) + 1
    assert client.get("captioners").json()["controls"]["language"]["available"]
    answer = client.post(f"workspaces/{id}/caption", json={"style": {"wiki": True}}).json()
    assert answer["background"]


def test_a_plain_caption_asks_no_text_model_and_refine_false_neither(client, id, server):
    client.post(f"workspaces/{id}/caption")
    client.post(f"workspaces/{id}/caption", json={"style": {"sentiment": "positive"}, "refine": False})
    assert server.asked == []


def test_the_raw_caption_comes_first_and_the_refined_one_streams(client, id, server):
    server.answers = ["a lovely ball"]
    answer = client.post(f"workspaces/{id}/caption", json={"stream": True, "style": {"sentiment": "positive"}})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["content-encoding"] == "identity", "or the web UIs' own compression keeps the events until the last"
    reply = events(answer.text)
    assert [name for name, _ in reply] == ["raw", "piece", "piece", "piece", "caption"]
    assert reply[0][1]["wordings"][0]["text"].startswith("a red thing")
    assert "".join(data["text"] for name, data in reply if name == "piece") == "a lovely ball" == reply[-1][1]["text"]


@pytest.mark.parametrize("fault", ["401", "garbage", "endless", "silent", "redirect"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_leaves_the_raw_caption_and_says_what_happened(client, id, server, fault, stream):
    server.fault = fault
    answer = client.post(f"workspaces/{id}/caption", json={"stream": stream, "style": {"language": "French"}})
    reply = events(answer.text)[-1][1] if stream else answer.json()
    assert reply["text"] == "a red thing 3" and reply["refined"] is None
    assert reply["failure"]["error"] == "TextModelFailed" and reply["failure"]["message"].endswith(".")
    assert "secret-key" not in answer.text


def test_an_error_is_the_last_event(client, id):
    answer = events(client.post(f"workspaces/{id}/caption", json={"stream": True, "captioner": "nobody"}).text)
    assert [name for name, _ in answer] == ["error"] and answer[0][1]["error"] == "NotFound"


def test_questions_are_answered_about_the_object_that_is_selected(client, id, server, studio):
    studio.toy.settings["text_model_sees"] = True
    server.answers = ["It is red.", "Round.", "Blue."]
    assert client.post(f"workspaces/{id}/chat", json={"question": "Which colour?"}).json()["answer"] == "It is red."
    client.post(f"workspaces/{id}/chat", json={"question": "Which shape?"})
    _, picture = server.prompt
    assert [one["content"] for one in server.asked[-1]["messages"][1:3]] == ["Which colour?", "It is red."]
    sent = Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2])))
    assert np.abs(np.asarray(sent)[sent.height // 2, sent.width // 2].astype(int) - RED).max() < 12
    client.post(f"workspaces/{id}/select", json={"points": [{"x": 58, "y": 38}]})
    client.post(f"workspaces/{id}/chat", json={"question": "And this?"})
    assert len(server.asked[-1]["messages"]) == 2, "what was said of another object was sent"
    history = client.get(f"workspaces/{id}/chat").json()["history"]
    assert [turn["question"] for turn in history] == ["Which colour?", "Which shape?", "And this?"]
    assert history[0]["box"] != history[2]["box"]
    assert client.delete(f"workspaces/{id}/chat").status_code == 204
    assert client.get(f"workspaces/{id}/chat").json() == {"history": []}


def test_a_text_model_without_eyes_is_told_the_caption(client, id, server):
    server.answers = ["Red."]
    answer = client.post(f"workspaces/{id}/chat", json={"question": "Which colour?", "stream": True})
    assert [name for name, _ in events(answer.text)] == ["piece", "answer"]
    assert "a red thing 3" in server.asked[0]["messages"][0]["content"]


def test_a_question_nobody_can_answer(client, id, server, studio):
    studio.toy.settings["text_model_url"] = ""
    answer = client.post(f"workspaces/{id}/chat", json={"question": "Which colour?"})
    assert answer.status_code == 400 and "answer" in answer.json()["message"]
    assert client.post(f"workspaces/{id}/chat", json={"question": " "}).status_code == 400


def test_everything_is_described_and_can_be_picked(client, id):
    answer = client.post(f"workspaces/{id}/caption-everything", json={"sieve": {"smallest": 10}}).json()
    assert {one["caption"] for one in answer["regions"]} >= {"a red thing 3"}
    assert answer["paragraph"].startswith("A red thing 3. In it:") and answer["overview"].startswith("data:image/png")
    index, red = next((i, one) for i, one in enumerate(answer["regions"]) if one["caption"] == "a red thing 3" and one["area"] == 260)
    expected = (pixels() == RED).all(axis=2)
    np.testing.assert_array_equal(from_rle(red["segmentation"]), expected)
    picked = client.post(f"workspaces/{id}/mask", json={"operations": [{"op": "region", "index": index, "mode": "replace"}]}).json()
    assert picked["selection"]["area"] == 260
    fewer = client.post(f"workspaces/{id}/caption-everything", json={"sieve": {"smallest": 10, "most": 1}}).json()
    assert len(fewer["regions"]) == 1


def test_the_paragraph_is_the_text_models(client, id, server):
    server.answers = ["A park with a ball."]
    answer = client.post(f"workspaces/{id}/caption-everything", json={"sieve": {"smallest": 10}}).json()
    assert answer["paragraph"] == "A park with a ball." and "a red thing 3" in server.prompt
    server.fault = "401"
    answer = client.post("caption-everything", json={"image": png(pixels()), "sieve": {"smallest": 10}}).json()
    assert answer["paragraph"].startswith("A red thing") and "refuses" in answer["failure"]["message"]
    count = len(server.asked)
    assert client.post("caption-everything", json={"image": png(pixels()), "paragraph": False}).json()["paragraph"] == ""
    assert len(server.asked) == count


def test_a_phrase_is_found_again_by_captions(client, id):
    client.post(f"workspaces/{id}/mask", json={"operations": [{"op": "clear"}]})
    answer = client.post(f"workspaces/{id}/find", json={"phrase": "the red things"}).json()
    assert answer["selection"]["area"] == 260 and answer["label"] == "Find" and answer["found_by"] == "host" and answer["can_undo"]
    alone = client.post("find", json={"image": png(pixels()), "phrase": "red"}).json()
    assert alone["box"] == [20, 13, 40, 26] and alone["mask"].startswith("data:image/png")
    missing = client.post(f"workspaces/{id}/find", json={"phrase": "submarine"})
    assert missing.status_code == 400 and "submarine" in missing.json()["message"]


AROUND = [[2, 3], [9, 3], [9, 11], [2, 11]]


def test_a_trajectory_selects_first(client, id):
    answer = client.post(f"workspaces/{id}/caption", json={"trajectory": [AROUND, [[24, 18], [36, 20]]]}).json()
    assert answer["box"] == [2, 3, 40, 26]
    assert client.get(f"workspaces/{id}").json()["selection"]["area"] == 8 * 9 + 260, "what the first goes around, and all the second is on"


def test_strokes_are_combined_with_the_selection(client, id):
    answer = client.post(f"workspaces/{id}/trace", json={"strokes": [AROUND]}).json()
    assert answer["selection"]["box"] == [2, 3, 10, 12] and answer["label"] == "Trajectory" and answer["can_undo"]
    answer = client.post(f"workspaces/{id}/trace", json={"strokes": [[[24, 18], [36, 20]]], "mode": "add"}).json()
    assert answer["selection"]["area"] == 8 * 9 + 260
    answer = client.post(f"workspaces/{id}/trace", json={"strokes": [AROUND], "mode": "subtract"}).json()
    assert answer["selection"]["area"] == 260
    for body in ({"strokes": []}, {"strokes": [[]]}, {"strokes": [[[0, 0]] * 100_001]}):
        assert client.post(f"workspaces/{id}/trace", json=body).status_code == 400
    assert client.post(f"workspaces/{id}/trace", json={"strokes": [AROUND], "mode": "xor"}).status_code == 422


def test_a_stroke_around_something_is_a_box_and_one_over_it_is_points():
    turn = np.linspace(0, 2 * np.pi, 40)
    circle = list(zip(50 + 20 * np.cos(turn), 40 + 10 * np.sin(turn), strict=True))
    assert stroke_prompts(circle, (100, 80)).box == pytest.approx((30, 30, 71, 51), abs=0.2)
    assert stroke_prompts([(-30, -30), (130, -30), (130, 130), (-30, 130)], (100, 80)).box == (0, 0, 100, 80)
    for over in ([(10, 10), (60, 10)], [(10, 10), (60, 10), (10, 11)], [(10, 10), (20, 10), (60, 10)]):  # there, back, unevenly
        prompts = stroke_prompts(over, (100, 80))
        assert prompts.box is None and len(prompts.points) == 5 and all(point.label == 1 for point in prompts.points)
        assert all(10 < point.x <= 60 and 10 <= point.y <= 11 for point in prompts.points)
    assert [point.x for point in stroke_prompts([(10, 10), (60, 10)], (100, 80)).points] == [15, 25, 35, 45, 55]
    (point,) = stroke_prompts([(7.5, 8), (7.5, 8)], (100, 80)).points
    assert (point.x, point.y) == (7.5, 8)
    (point,) = stroke_prompts([(700, 8)], (100, 80)).points
    assert (point.x, point.y) == (99, 8)
    with pytest.raises(InvalidInput, match="not a number"):
        stroke_prompts([(float("nan"), 0)], (100, 80))


def test_a_picture_needs_no_session(client, speaking):
    image = png(pixels())
    assert client.post("caption", json={"image": image}).json()["box"] is None
    assert client.post("caption", json={"image": image, "points": [{"x": 30, "y": 20}]}).json()["box"] == [20, 13, 40, 26]
    assert client.post("caption", json={"image": image, "box": [1, 2, 9, 8]}).json()["box"] == [1, 2, 9, 8]
    mask = np.zeros((40, 60), np.uint8)
    mask[5:9, 7:11] = 255
    assert client.post("caption", json={"image": image, "mask": png(mask)}).json()["box"] == [7, 5, 11, 9]


def test_what_cannot_be_is_refused(client, id):
    for body in ({"candidates": 9}, {"style": {"length": 1}}, {"style": {"language": "Klingon"}}, {"region": {"padding": 9}}, {"seed": -1}):
        assert client.post(f"workspaces/{id}/caption", json=body).status_code == 400, body
    assert client.post(f"workspaces/{id}/caption", json={"sentimnet": "positive"}).status_code == 422
    assert client.post(f"workspaces/{id}/caption", json={"tags": True}).status_code == 409


def test_without_a_captioner_the_remedy_is_said(client, id, studio):
    studio.toy.can_caption = False
    answer = client.post(f"workspaces/{id}/caption")
    assert answer.status_code == 409 and "Download BLIP" in answer.json()["remedy"]
    reply = client.get("captioners").json()
    assert not reply["controls"]["caption"]["available"] and reply["captioners"][0]["available"] is False


def test_results_are_ranked_by_clip(client, id, speaking, monkeypatch):
    answer = client.post(f"workspaces/{id}/results/rank", json={"prompt": "red"})
    assert answer.status_code == 409 and "CLIP" in answer.json()["message"]

    class Clip:
        def similarities(self, pictures, texts, progress=None):
            return np.array([[float(one[0, 0, 0]) / 255] for one in pictures], np.float32)

    monkeypatch.setattr(speaking.captioners, "clip", Clip)
    workspace = speaking.workspace(id)
    box = masks.bounds(np.ones((4, 4), bool))
    assert box is not None
    workspace.hold_results(tuple(PaintResult(box, np.full((4, 4, 3), value, np.uint8), 0, "") for value in (51, 255, 102)), None)
    reply = client.post(f"workspaces/{id}/results/rank", json={"prompt": "red"}).json()
    assert reply == {"scores": [0.2, 1.0, 0.4], "order": [1, 2, 0]}


def test_addresses_and_keys_are_told_to_nobody(client, id, server):
    for path in ("captioners", "capabilities", f"workspaces/{id}"):
        text = client.get(path).text
        assert "secret-key" not in text and server.address not in text
