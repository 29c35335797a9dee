"""Which segmenter and eraser "auto" stands for."""

from __future__ import annotations

from tests.toys.studio import toy_studio


def test_auto_is_the_best_that_works_now(tmp_path, monkeypatch):
    studio = toy_studio(tmp_path, segmenter="auto", eraser="auto")
    assert (studio.pool.segmenter_name(), studio.pool.eraser_name()) == ("classic", "classic")
    engines = {engine.name: engine for engine in studio.pool.segmenters()}
    assert not engines["mobile_sam"].available and engines["mobile_sam"].reason and engines["classic"].available
    monkeypatch.setattr("clickpaint.segment.registry.unavailable", lambda name, installed=None: None)
    monkeypatch.setattr("clickpaint.studio.model_pool.segmenters.unavailable", lambda name, installed=None: None)
    from clickpaint.weights.catalog import catalog

    file = catalog()["mobile_sam"]
    (tmp_path / file.kind).mkdir()
    with (tmp_path / file.kind / file.filename).open("wb") as stream:
        stream.truncate(file.bytes or 10)
    studio.pool.changed()
    assert studio.pool.segmenter_name() == "mobile_sam"
    assert studio.pool.segmenter_name("classic") == "classic"
