"""Sentences for a voice to learn from: books in the public domain, and everyday sentences.

    python texts.py BOOKS -o texts.jsonl [--exclude FILE ...] [--count 8000] [--seed 1]

BOOKS is a folder of plain texts of Project Gutenberg. From each the header, the licence and the
first tenth are left out (tests of speech like to read first chapters), then sentences of 4 to 28
words whose words all occur three times or more in the books: no dialect, no rare names, no
misprints. Of these, sentences are taken one by one such that pairs of phonemes that are still rare
come first (a greedy cover, as in H. Kawai et al., "XIMERA", 2004); every second sentence is an
everyday one (`everyday.py`). Numbers are in words throughout.

A sentence is left out if it shares five words in a row with an excluded text, or is one: FILE is a
text with a sentence a line, a manifest (.jsonl, whose rows with the split val or test count), or
Python source (.py), whose strings of three words and more count.

Each line of the output: `id`, `text`, `kind` ("book" or "everyday"), `source`, `phonemes` (of
espeak-ng, American).
"""

from __future__ import annotations

import argparse
import ast
import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from everyday import sentences as everyday
from phonemes import espeak

RUN = 5  # words in a row that count as the same text
WORDS = (4, 28)
RARE = 3
SKIPPED = 0.1  # of a book, from its start
LONGEST = 190  # characters

_DASHES = {"--": "—", "–": "—", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "..."}
_ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Esq|No|Prof|Capt|Col|Gen|Rev|Hon)\.")
_SPOKEN = {"Mr.": "Mister", "Mrs.": "Missus", "Dr.": "Doctor"}
_ALLOWED = re.compile(r"[A-Za-z' ,;:.!?—\"-]+")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def strip_licence(text: str) -> str:
    """Return a book of Project Gutenberg without what stands before and after it.

    Raises ValueError if its marks are missing.
    """
    start = re.search(r"\*\*\* ?START OF TH\w+ PROJECT GUTENBERG[^\n]*\n", text)
    end = re.search(r"(?:\*\*\* ?END OF TH|End of (?:the )?Project Gutenberg)", text)
    if start is None or end is None:
        raise ValueError("no marks of Project Gutenberg, '*** START OF ...' and '*** END OF ...'")
    return text[start.end() : end.start()]


def book_sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a book that can be said as they stand, without quotation marks."""
    text = strip_licence(text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text[int(SKIPPED * len(text)) :]
    for old, new in _DASHES.items():
        text = text.replace(old, new)
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        for short, spoken in _SPOKEN.items():
            line = line.replace(short, spoken)
        for part in re.split(r"(?<=[.!?])[\"']?\s+(?=[\"'A-Z])", line):
            said = re.sub(r"\s+", " ", part.replace('"', "")).strip(" '")
            if _fits(said):
                yield said


def _fits(text: str) -> bool:
    words = words_of(text)
    return (
        WORDS[0] <= len(words) <= WORDS[1]
        and len(text) <= LONGEST
        and _ALLOWED.fullmatch(text) is not None
        and _ABBREVIATED.search(text) is None
        and text[0].isupper()
        and text[-1] in ".!?"
        and not re.search(r"\b[A-Z]{2,}\b|\b[B-HJ-Z]\b|(?:^| )'|' |—$|\.\.", text)
    )


def runs(text: str) -> set[tuple[str, ...]]:
    """Return every run of five words of a text; a shorter text is one run."""
    words = words_of(text)
    return {tuple(words[n : n + RUN]) for n in range(max(len(words) - RUN + 1, 1))}


def excluded_texts(path: Path) -> list[str]:
    """Return the texts of a file that must not be learned.

    Raises ValueError, with the file's name, for a manifest that cannot be read.
    """
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        rows = []
        for number, line in enumerate(content.splitlines(), 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: no JSON") from error
        return [row.get("text") or "" for row in rows if row.get("split") in ("val", "test")]
    if path.suffix == ".py":
        nodes = ast.walk(ast.parse(content))
        strings = [
            n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ]
        return [line for text in strings for line in text.splitlines() if len(words_of(line)) > 2]
    return content.splitlines()


def richest(sounds: Sequence[str], count: int) -> list[int]:
    """Return the places of `count` phoneme strings, those with the rarest pairs first.

    What a string is worth is the sum over its pairs of 1 / (1 + times that pair was taken), by
    the square root of its length; the heap is lazy, since a worth can only fall.
    """
    taken: Counter[str] = Counter()
    pairs = [[a + b for a, b in pairwise(text)] for text in sounds]

    def worth(place: int) -> float:
        found = Counter(pairs[place])
        return sum(1 / (1 + taken[pair]) for pair in found) / max(len(pairs[place]), 1) ** 0.5

    heap = [(-worth(place), place) for place in range(len(sounds))]
    heapq.heapify(heap)
    order: list[int] = []
    while heap and len(order) < count:
        _, place = heapq.heappop(heap)
        current = -worth(place)
        if heap and current > heap[0][0]:
            heapq.heappush(heap, (current, place))
            continue
        taken.update(pairs[place])
        order.append(place)
    return order


def gather(books: Path, exclude: Iterable[Path], count: int, seed: int) -> list[dict[str, str]]:
    """Return the rows of the text set, at most `count`.

    Raises ValueError if the folder has no text.
    """
    paths = sorted(books.glob("*.txt"))
    if not paths:
        raise ValueError(f"{books}: no text files (*.txt)")
    barred = {run for path in exclude for text in excluded_texts(path) for run in runs(text)}
    found = [(text, path.stem) for path in paths for text in book_sentences(_read(path))]
    known = Counter(word for text, _ in found for word in words_of(text))
    once = {}
    for text, source in found:
        if min(known[word] for word in words_of(text)) >= RARE and not runs(text) & barred:
            once.setdefault(text, source)
    texts = list(once)
    sounds = espeak(texts, "en-us")
    chosen = richest(sounds, count // 2)
    read = [(texts[n], "book", once[texts[n]], sounds[n]) for n in chosen]
    fresh = (text for text in everyday(seed) if not runs(text) & barred)
    own = list(islice(fresh, count - len(read)))
    made = [(t, "everyday", "written", s) for t, s in zip(own, espeak(own, "en-us"), strict=True)]
    mixed = [row for pair in zip(read, made, strict=False) for row in pair]
    return [
        {"id": f"t{n:05d}", "text": text, "kind": kind, "source": source, "phonemes": sound}
        for n, (text, kind, source, sound) in enumerate(mixed)
    ]


def _read(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def main() -> None:
    """Write the text set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("books", type=Path, help="the folder of books")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the file to write, .jsonl")
    parser.add_argument("--exclude", type=Path, nargs="*", default=[], help="texts of tests")
    parser.add_argument("--count", type=int, default=8000, help="sentences (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the everyday sentences")
    options = parser.parse_args()
    rows = gather(options.books, options.exclude, options.count, options.seed)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    options.out.write_text(lines, encoding="utf-8")
    print(f"{options.out}: {len(rows)} sentences, {sum(len(r['text']) for r in rows)} characters")


if __name__ == "__main__":
    main()
