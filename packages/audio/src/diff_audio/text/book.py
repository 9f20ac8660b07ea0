"""The chapters of a book: an EPUB file, or a text or HTML file with headings."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from diff_audio.text.markup import html
from diff_audio.text.markup.script import HEADING, Draft
from diff_audio.text.xml import local, parse

__all__ = ["Book", "Chapter", "read_book"]

_MOST_BYTES = 50_000_000  # of one file in an EPUB: what unpacks to more is no chapter
_DOCUMENTS = ("application/xhtml+xml", "text/html")
_HEADING = re.compile(
    r"^(?:#{1,2}[ \t]+(?P<marked>.*\S)[ \t#]*|"
    r"(?P<plain>(?:chapter|part|book|prologue|epilogue|introduction|preface|afterword|canto|act)"
    r"(?:[ \t]+(?:[ivxlcdm]+|\d+|[a-z]+))?(?:[.:][^\n]{0,60}|[ \t]*[-–—][^\n]{0,60})?)[ \t]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_TITLE = re.compile(rf"([^\x00-\x08\n]{{1,120}}){HEADING}")
_WORD = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Chapter:
    """A chapter and its title, which stands in its text too."""

    title: str
    text: str


@dataclass(frozen=True)
class Book:
    """A book: title and author, "" where they are not known, and its chapters in order."""

    title: str
    author: str
    chapters: tuple[Chapter, ...]


def read_book(path: Path) -> Book:
    """Read a book from an EPUB file, or from a text or HTML file in UTF-8.

    A text is divided at Markdown headings of the first two levels, and at lines such as
    "Chapter 5"; what comes before the first of them is a chapter too. Raises ValueError for a file
    that is neither, a damaged or encrypted one, and one without anything to read; and OSError.
    """
    if zipfile.is_zipfile(path):
        book = _epub(path)
    else:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: is neither EPUB nor UTF-8 text (byte {error.start})"
            ) from error
        book = Book(path.stem, "", tuple(_chapters(text.replace("\r\n", "\n"))))
    if not book.chapters:
        raise ValueError(f"{path}: holds nothing to read")
    return book


def _chapters(text: str) -> Iterator[Chapter]:
    """Yield the chapters of a text that has headings; all of it if there are none."""
    found = list(_HEADING.finditer(text))
    starts = [0, *(match.start() for match in found), len(text)]
    titles = ["", *((match["marked"] or match["plain"]).strip() for match in found)]
    for title, start, end in zip(titles, starts, starts[1:], strict=False):
        part = text[start:end].strip()
        if _WORD.search(part):
            yield Chapter(title, part)


def _epub(path: Path) -> Book:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "META-INF/encryption.xml" in names and _is_encrypted(archive):
                raise ValueError("is encrypted; only books without copy protection can be read")
            container = parse(_bytes(archive, "META-INF/container.xml"))
            package = next(one for one in container.iter() if local(one.tag) == "rootfile")
            root = package.get("full-path", "")
            return _package(archive, root, parse(_bytes(archive, root)))
    except (zipfile.BadZipFile, KeyError, StopIteration, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path}: is no EPUB book, or damaged ({error})") from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _is_encrypted(archive: zipfile.ZipFile) -> bool:
    """Return whether more than fonts is encrypted."""
    listed = parse(_bytes(archive, "META-INF/encryption.xml"))
    files = [one.get("URI", "") for one in listed.iter() if local(one.tag) == "CipherReference"]
    return any(
        name.lower().endswith((".xhtml", ".html", ".htm", ".xml", ".opf")) for name in files
    )


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{name} in it unpacks to more than {_MOST_BYTES // 1_000_000} MB")
    return content


def _package(archive: zipfile.ZipFile, root: str, package: Element) -> Book:
    """Return the book of a package document: metadata, and the spine in order."""
    facts = {"title": "", "creator": ""}
    items: dict[str, tuple[str, str]] = {}
    order: list[str] = []
    for one in package.iter():
        name = local(one.tag)
        if name in facts and not facts[name]:
            facts[name] = " ".join((one.text or "").split())
        elif name == "item" and "nav" not in one.get("properties", "").split():
            items[one.get("id", "")] = one.get("href", ""), one.get("media-type", "")
        elif name == "itemref" and one.get("linear") != "no":
            order.append(one.get("idref", ""))
    chapters: list[Chapter] = []
    for name in order:
        href, kind = items.get(name, ("", ""))
        if kind not in _DOCUMENTS:
            continue
        place = posixpath.normpath(posixpath.join(posixpath.dirname(root), unquote(href)))
        text = _bytes(archive, place).decode("utf-8", "replace")
        draft = Draft(text)
        html.tags(draft)
        if _WORD.search(draft.text):
            title = _TITLE.search(draft.text)
            chapters.append(Chapter(" ".join(title[1].split()) if title else "", text))
    return Book(facts["title"], facts["creator"], tuple(chapters))
