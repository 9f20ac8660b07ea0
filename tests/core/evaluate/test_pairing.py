"""One reference has one estimate, whatever else lies in the folders."""

from __future__ import annotations

import os
from pathlib import Path

from diff_core.evaluate import Matched, Naming, match_files, summarise


def is_output(path: Path) -> bool:
    stem = path.stem
    return any(
        stem.endswith(tag) and any(path.parent.glob(f"{stem.removesuffix(tag)}.*"))
        for tag in ("_made", "_rest")
    )


NAMING = Naming(lambda p: p.suffix in (".a", ".b"), lambda p: p.stem, "_made", is_output)


def matched(root: Path, references: str, estimates: str) -> Matched:
    """Match files that are made in this order, one second apart."""
    for folder, names in (("ref", references), ("est", estimates)):
        (root / folder).mkdir()
        for age, name in enumerate(names.split()):
            path = root / folder / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
            os.utime(path, (1_000_000 + age, 1_000_000 + age))
    return match_files(root / "ref", root / "est", NAMING)


def names(found: Matched) -> list[tuple[str, str, str]]:
    return [(name, ref.name, est.name) for name, ref, est in found.pairs]


def test_endings_and_tags_do_not_count(tmp_path: Path) -> None:
    found = matched(tmp_path, "x.a d/y.a", "x_made.b d/y.a")
    assert names(found) == [("d/y", "y.a", "y.a"), ("x", "x.a", "x_made.b")]
    assert not found.failed and not found.extra and not found.left_out


def test_an_output_beside_the_reference_is_no_reference(tmp_path: Path) -> None:
    found = matched(tmp_path, "x.a x_made.a x_rest.a", "x.a")
    assert names(found) == [("x", "x.a", "x.a")]
    assert [path.name for path in found.left_out] == ["x_made.a"]


def test_the_output_is_the_estimate_where_its_input_lies_beside(tmp_path: Path) -> None:
    assert names(matched(tmp_path, "x.a", "x.a x_made.a x_rest.a")) == [("x", "x.a", "x_made.a")]


def test_a_stale_output_never_wins(tmp_path: Path) -> None:
    found = matched(tmp_path, "x.a", "x_made.a x.a")
    assert not found.pairs
    assert "x_made.a is older than x.a" in found.failed[0][2]


def test_two_estimates_or_references_of_one_name_are_refused(tmp_path: Path) -> None:
    found = matched(tmp_path, "x.a y.a z.a z.b", "x.a x.b y.a z.a")
    assert names(found) == [("y", "y.a", "y.a")]
    assert {
        name: "x.a and x.b" in why or "z.a and z.b" in why for name, _, why in found.failed
    } == {
        "x": True,
        "z": True,
    }


def test_what_is_alone_is_named_on_both_sides(tmp_path: Path) -> None:
    found = matched(tmp_path, "x.a y.a", "y.a z.a")
    assert [(name, path.name) for name, path, _ in found.failed] == [("x", "x.a")]
    assert [(name, path.name) for name, path, _ in found.extra] == [("z", "z.a")]
    only = match_files(tmp_path / "ref", tmp_path / "est", NAMING, only={tmp_path / "ref/y.a"})
    assert len(only.pairs) == 1 and not only.failed


def test_a_mean_of_scores_misses_no_bad_file() -> None:
    found = summarise([1.0, float("-inf"), float("nan"), 200.0], -10.0, 100.0)
    assert (found.count, found.bounded, found.undefined) == (3, 2, 1)
    assert found.mean == (1 - 10 + 100) / 3
