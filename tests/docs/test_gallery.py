"""The gallery shows files that are there, and what is synthetic in it bears its marks."""

from __future__ import annotations

import json
import re

from diff_medical.marks.told import tell
from pages import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "gallery.md").read_text()


def test_every_file_of_the_gallery_is_there() -> None:
    # HTML counts from the folder of the page, Markdown from its file; mkdocs checks the latter
    sources = re.findall(r'(?:src|srcset)="\.\./([^"]+)"', TEXT)
    assert len(sources) >= 13
    assert [name for name in sources if not (DOCS / name).is_file()] == []


def test_every_player_and_picture_has_a_name() -> None:
    for tag in re.findall(r"<(?:audio|img)[^>]*>", TEXT):
        assert re.search(r'(?:alt|aria-label)="[^"]{5,}"', tag), tag


def test_what_is_synthetic_is_marked() -> None:
    pictures = set(re.findall(r"medical/generate/\w+\.png", TEXT))
    assert len(pictures) == 2
    assert all(tell(DOCS / name).synthetic for name in pictures)
    voices = set(re.findall(r"audio/say/\d\.ogg", TEXT))
    assert len(voices) == 3
    assert all(json.loads((DOCS / f"{name}.json").read_text())["synthetic"] for name in voices)
