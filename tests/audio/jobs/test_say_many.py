"""Books and tables: what they hold, what is spoken, what is left to do after a stop."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import soundfile

from diff_audio.say import main
from diff_audio.text.book import read_book
from tiny_voice import options, write_models

CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>
<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The Birds</dc:title><dc:creator>Ann Author</dc:creator></metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="text/b%20two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="cover.jpg" media-type="image/jpeg"/>
<item id="e" href="text/empty.xhtml" media-type="application/xhtml+xml"/>
</manifest>
<spine><itemref idref="c"/><itemref idref="nav"/><itemref idref="e"/><itemref idref="a"/>
<itemref idref="b"/></spine></package>"""
PAGE = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>No</title><style>p {}</style></head>
<body>%s</body></html>"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


def epub(path: Path, **changed: str) -> Path:
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/nav.xhtml": PAGE % "<h1>Contents</h1>",
        "OPS/text/empty.xhtml": PAGE % "<p></p>",
        "OPS/text/a.xhtml": PAGE % "<h1>One: A/B?</h1><p>It rained &amp; rained.</p>",
        "OPS/text/b two.xhtml": PAGE % "<h2>Two</h2><p>Nobody came.</p>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, **changed}.items():
            archive.writestr(name, text)
    return path


def test_an_epub_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    book = read_book(epub(tmp_path / "b.epub"))
    assert (book.title, book.author) == ("The Birds", "Ann Author")
    assert [chapter.title for chapter in book.chapters] == ["One: A/B?", "Two"]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("# One\n\nA word.\n\n## Two\n\nMore.\n", ["One", "Two"]),
        ("Before.\n\nCHAPTER I\n\nA word.\n\nChapter 2: The End\n\nMore.",
         ["", "CHAPTER I", "Chapter 2: The End"]),
        ("The chapter was long. Part of it\nwas lost.", [""]),
        ("PROLOGUE\r\n\r\nWords.\r\n\r\nChapter One\r\n\r\nMore.", ["PROLOGUE", "Chapter One"]),
    ],
)  # fmt: skip
def test_a_text_is_divided_at_its_headings(tmp_path: Path, text: str, titles: list[str]) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(text.encode())
    book = read_book(path)
    assert [chapter.title for chapter in book.chapters] == titles
    together = "".join(chapter.text for chapter in book.chapters)
    assert "".join(together.split()) == "".join(text.split())


def test_a_book_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE p [<!ENTITY a "b">]><package/>'
    cases = {
        "declares entities": {"OPS/book.opf": bomb},
        "is encrypted": {
            "META-INF/encryption.xml": '<e><CipherReference URI="OPS/text/a.xhtml"/></e>'
        },
        "broken XML": {"META-INF/container.xml": "<container"},
        "is no EPUB book": {"META-INF/container.xml": "<container/>"},
        "holds nothing to read": {"OPS/book.opf": "<package/>"},
        "damaged": {"OPS/book.opf": PACKAGE.replace("text/a.xhtml", "gone.xhtml")},
    }
    for message, changed in cases.items():
        with pytest.raises(ValueError, match=message):
            read_book(epub(tmp_path / "b.epub", **changed))
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="neither EPUB nor UTF-8"):
        read_book(tmp_path / "b.txt")


def test_a_book_becomes_a_file_a_chapter_with_tags_and_goes_on_where_it_stopped(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    given = ["--book", str(epub(tmp_path / "b.epub")), "-o", str(folder), "--times", ".srt"]
    assert main([*given, *options(models)]) == 0
    first, second = sorted(folder.glob("*.flac"))
    assert (first.name, second.name) == ("01 One A B.flac", "02 Two.flac")
    with soundfile.SoundFile(second) as file:
        tags = file.copy_metadata()
    assert (tags["title"], tags["album"], tags["artist"]) == ("Two", "The Birds", "Ann Author")
    assert tags["tracknumber"] == "2" and "Synthetic speech" in tags["comment"]
    assert "It rained & rained." in (folder / "01 One A B.flac.srt").read_text()
    before = first.stat().st_mtime_ns
    second.unlink()  # as after a stop
    second.with_name("02 Two.flac.json").unlink()
    second.with_name("02 Two.flac.srt").unlink()
    capsys.readouterr()
    assert main([*given, *options(models)]) == 0
    assert first.stat().st_mtime_ns == before and second.exists()
    assert "01 One A B.flac  (done before)" in capsys.readouterr().out
    # another manner is another book: nothing is passed over, and nothing replaced unasked
    assert main([*given, "--rate", "2", *options(models)]) == 1
    assert "2 of 2 failed" in capsys.readouterr().err
    assert main([*given, "--rate", "2", "--overwrite", *options(models)]) == 0
    assert first.stat().st_mtime_ns != before


def test_a_table_is_spoken_row_by_row(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "texts.csv"
    table.write_text(
        'text,file,speaker,rate\n"One, two.",a,bob,2\n"...",b,,\nThree.,sub/c.ogg,,\nFour.,,,\n'
    )
    folder = tmp_path / "out"
    given = ["--table", str(table), "-o", str(folder), "--format", "wav", *options(models)]
    assert main(given) == 1  # the second has nothing to say; the others are spoken
    assert "nothing to say" in capsys.readouterr().err
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*[!n]"))
    assert files == ["004.wav", "a.wav", "sub/c.ogg"]
    record = json.loads((folder / "a.wav.json").read_text())
    assert (record["speaker"], record["rate"]) == ("bob", 2.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("words\nOne.\n", "its columns are words; expected text"),
        ("", "its columns are none"),
        ("text\n", "has no rows"),
        ("text,file\nOne.,a\nTwo.,a\n", "line 3: a.flac is named twice"),
        ("text,file\n,a\n", "line 2: has no text"),
        ("text,file\nOne.,../a\n", "line 2: file '../a' lies outside the folder"),
        ("text,rate\nOne.,fast\n", "line 2: rate 'fast'"),
        ("text,rate\nOne.,9\n", "rate is 9.0; expected 0.25 to 4"),
        ("text,file\nOne.,a,b\n", "line 2: has another number of columns"),
    ],
)
def test_a_table_with_a_fault_is_one_line_and_nothing_is_spoken(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, message: str
) -> None:
    table = tmp_path / "texts.csv"
    table.write_text(rows)
    folder = tmp_path / "out"
    assert main(["--table", str(table), "-o", str(folder), *options(models)]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not folder.exists()
