"""Pages: one frame for all of them, every value escaped, nothing from a network."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from diff_core.pages import render, write_page


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of a domain with one template."""
    folder = tmp_path / "some_domain" / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "report.html").write_text(
        '{% extends "base.html" %}{% block style %}.mine { color: var(--ink) }{% endblock %}'
        "{% block main %}<h1>{{ title }}</h1><p>{{ text }}</p>{% endblock %}",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "some_domain"
    sys.modules.pop("some_domain", None)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("theme", ["auto", "dark"])
def test_a_page_is_well_formed_and_asks_nothing_of_a_network(package: str, theme: str) -> None:
    html = render(
        package, "report.html", title="A <b> & c", text="<script>x</script>", theme=theme
    )
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    assert tags.seen.count("h1") == tags.seen.count("main") == tags.seen.count("title") == 1
    assert "script" not in tags.seen
    assert html.startswith("<!doctype html>")
    assert f'data-theme="{theme}"' in html
    assert re.findall(r'(?:src|href)="(?!data:)|url\(|@import', html) == []
    assert ".mine { color: var(--ink) }" in html


def test_every_colour_that_is_used_is_set_in_each_theme(package: str) -> None:
    for theme in ("auto", "dark"):
        html = render(package, "report.html", title="", text="", theme=theme)
        for root in re.findall(r"^:root \{(.*?)\}$", html, re.MULTILINE):
            assert set(re.findall(r"var\((--\w+)\)", html)) <= set(re.findall(r"(--\w+):", root))


def test_a_value_that_is_missing_is_an_error(package: str) -> None:
    with pytest.raises(UndefinedError, match="text"):
        render(package, "report.html", title="")


def test_a_page_is_written_whole_with_any_name(package: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, package, "report.html", title="scan\udcff.nii", text="é")
    assert "scan\\udcff.nii" in path.read_text(encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(UndefinedError):
        write_page(path, package, "report.html", title="")
    assert path.read_bytes() == before
