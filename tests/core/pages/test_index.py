"""The index of pages: every row, link and median, whatever the names are."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

from diff_core.pages.index import Entry, is_foreign, record_path, write_entry, write_index

HOSTILE = "<script>alert(1)</script> & 'q' \"d\" #1 100%.wav"


class Index(HTMLParser):
    """The links, the pictures, the heads and the cells of an index."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.heads: list[dict[str, str | None]] = []
        self.rows: list[list[str | None]] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag in ("a", "img"):
            self.links.append(given.get("href") or given.get("src") or "")
        if tag == "th":
            self.heads.append(given)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append(given.get("data-value"))

    def handle_data(self, data: str) -> None:
        self.text += data


def put(folder: Path, place: str, entry: Entry) -> None:
    write_entry(folder, place, entry)
    for path in (entry.page, entry.picture):
        if path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()


def test_links_of_any_name_lead_to_files_and_names_are_text(tmp_path: Path) -> None:
    names = ["plain.wav", HOSTILE, os.fsdecode(b"Gespr\xe4ch.wav"), "a/b c.wav"]
    for name in names:
        entry = Entry(name, f"out/{name}", "done", 1.0, page=f"{name}.html",
                      picture=f"index/{name}.jpg", notes=(HOSTILE,))  # fmt: skip
        put(tmp_path, name, entry)
    failed = Entry("x.wav", None, "failed", 1.0, error="<img src=x onerror=alert(1)>")
    put(tmp_path, "failed/1", failed)
    index = Index(write_index(tmp_path, "<b>Study</b>"))
    assert len(index.links) == 2 * len(names)
    for link in index.links:
        assert re.match(r"\w+:", link) is None
        assert os.path.exists(os.path.join(os.fsencode(tmp_path), unquote_to_bytes(link))), link
    assert index.tags.count("script") == 1 and "b" not in index.tags
    assert HOSTILE in index.text and "<img src=x onerror=alert(1)>" in index.text
    assert len([row for row in index.rows if row]) == len(names) + 1


def test_medians_and_counts_are_of_the_whole_study(tmp_path: Path) -> None:
    given = [("01", "1", 2.0), ("01", "2", 8.0), ("02", "1", 5.0), ("02", None, None)]
    for number, (subject, session, gain) in enumerate(given):
        groups = {"Subject": subject} | ({"Session": session} if session else {})
        values = {"Kind": "MR", "Gain": gain}
        put(tmp_path, str(number), Entry(f"{number}.nii", "o", "done", 1.0, float(number),
                                         groups=groups, values=values))  # fmt: skip
    put(tmp_path, "9", Entry("9.nii", "o", "failed", 1.0, 100.0, error="is damaged",
                             groups={"Subject": "03"}, values={"Gain": 1000.0}))  # fmt: skip
    put(tmp_path, "8", Entry("8.nii", "o", "skipped", 1.0))
    page = write_index(tmp_path, "Study").read_text()
    cards = dict(re.findall(r"<h2>(.*?)</h2><strong>(.*?)</strong>", page))
    assert cards == {"Inputs": "6", "Subjects": "3", "Sessions": "3", "Time": "6.0 s", "Gain": "5"}
    assert "4 done, 1 failed, 1 left out" in page and "median 1.5 s" in page
    assert "median of 3" in page


def test_columns_sort_by_buttons_and_cells_carry_their_values(tmp_path: Path) -> None:
    for number, value in enumerate((-1.5, None, 10.0)):
        put(tmp_path, str(number), Entry(f"{number}", "o", "done", 1.0, values={"Gain": value}))
    index = Index(write_index(tmp_path, "Study"))
    sortable = [head for head in index.heads if "aria-sort" in head]
    assert len(sortable) == len(index.heads) - 1 == index.tags.count("button")
    assert {head["aria-sort"] for head in sortable} == {"none"}
    assert all(head["scope"] == "col" for head in index.heads)
    rows = [row for row in index.rows if row]
    assert all(len(row) == len(index.heads) for row in rows)
    assert [row[3] for row in rows] == ["-1.5", "", "10.0"]


def test_an_input_that_was_found_later_counts_once(tmp_path: Path) -> None:
    put(tmp_path, "failed/1", Entry("a.wav", None, "failed", 1.0, error="no such file"))
    assert "no such file" in write_index(tmp_path, "Study").read_text()
    put(tmp_path, "a.wav", Entry("a.wav", "b.wav", "done", 2.0))
    assert "no such file" not in write_index(tmp_path, "Study").read_text()


def test_an_index_of_another_origin_and_other_records_are_known(tmp_path: Path) -> None:
    assert not is_foreign(tmp_path)
    record_path(tmp_path, "other").parent.mkdir()
    record_path(tmp_path, "other").write_text('{"kind": "something"}')
    record_path(tmp_path, "list").write_text("[1]")
    write_index(tmp_path, "Study")
    assert not is_foreign(tmp_path)
    (tmp_path / "index.html").write_text("<h1>My site</h1>")
    assert is_foreign(tmp_path)
