"""Prompt styles: the web UI's file and its way of joining them to a prompt."""

from __future__ import annotations

import pytest

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.paint.paint_job import TextPrompt
from clickpaint.paint.prompt_styles import PromptStyle, read_styles, styled

TABLE = """name,prompt,negative_prompt
# a remark,,
photo,"photo of {prompt}, 35mm","painting"
soft,"soft light",
"with, comma",,ugly
"""


def test_a_style_takes_the_prompt_in_or_follows_it(tmp_path):
    (tmp_path / "styles.csv").write_text(TABLE, encoding="utf-8-sig")
    known = EmbeddedHost(tmp_path).styles()
    assert list(known) == ["photo", "soft", "with, comma"] == list(EmbeddedHost(tmp_path).capabilities().styles)
    both = styled(TextPrompt("a cat", "blurry", ("photo", "soft")), known)
    assert both == TextPrompt("photo of a cat, 35mm, soft light", "blurry, painting", ())
    assert styled(TextPrompt(" a cat ", "", ("soft", "with, comma")), known) == TextPrompt("a cat, soft light", "ugly", ())
    assert styled(TextPrompt("", "", ("soft",)), known).positive == "soft light"


def test_an_older_table_and_none_at_all(tmp_path):
    (tmp_path / "old.csv").write_text("name,text\nold,oil\n")
    assert read_styles(tmp_path / "old.csv") == {"old": PromptStyle("oil")} and read_styles(tmp_path / "none.csv") == {}


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(NotFound, match="photo, soft"):
        styled(TextPrompt("a", styles=("pencil",)), {"photo": PromptStyle(), "soft": PromptStyle()})
    (tmp_path / "styles.csv").write_bytes(b"name,prompt\n\xff\xfe,b\n")
    with pytest.raises(InvalidInput, match=r"styles\.csv"):
        EmbeddedHost(tmp_path).styles()
    assert EmbeddedHost(tmp_path).capabilities().styles == ()
