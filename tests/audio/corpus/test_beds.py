"""Of the beds: which scores may be used, by what they say of themselves."""

from __future__ import annotations

import zipfile
from pathlib import Path

import beds
import pytest


@pytest.mark.parametrize(
    ("notice", "free", "licence"),
    [
        ("X: 1\nT: A Reel\nZ: Transcribed by N. N.", True, "public domain"),
        ("<rights>© 2014, Creative Commons License (CC-BY)</rights>", True, "CC-BY"),
        ("Public Domain (Encoding by MSAC: CC0)", True, "CC0-1.0"),
        ("Released to Public Domain in 1998; Copyright © 1998", True, "public domain"),
        ("PDF © 2004 Margaret Greentree", False, None),
        ("released under the CC BY-SA 4.0 license", False, None),
        ("P.D. in public domain; the edition CC-BY-SA N. N.", False, None),
        ("Rights to all derivative electronic formats reserved; all rights reserved", False, None),
        ("under the terms of the GNU General Public License", False, None),
    ],
)
def test_only_scores_without_claims_or_with_a_free_licence(
    notice: str, free: bool, licence: str | None
) -> None:
    assert beds.is_free(notice) is free
    assert not free or beds.licence_of(notice) == licence


def test_notices_of_a_packed_score_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as packed:
        packed.writestr("META-INF/container.xml", "<none/>")
        packed.writestr("a.xml", "<rights>Copyright 2003</rights>")
    assert not beds.is_free(beds.notices(tmp_path / "a.mxl"))


def test_composers_come_in_turn(tmp_path: Path) -> None:
    for folder, count in (("haydn", 3), ("ryansMammoth", 30)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f"{number}.abc").write_text("X: 1")
    first = [who for _, who in beds.scores(tmp_path)[:6]]
    assert len(set(first[:2])) == len(set(first[2:4])) == len(set(first[4:6])) == 2
