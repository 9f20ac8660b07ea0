"""Manifests: every line is read as it stands, and a line with a fault stops the reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_core.data import read_manifest


def write(folder: Path, *lines: object) -> Path:
    path = folder / "m.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def test_rows_have_files_lines_splits_and_fields(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"file": "a/1.wav", "split": "val", "text": "Hello."},
        "",
        {"file": str(tmp_path / "b.wav"), "split": ""},
        {"file": "c.wav", "split": None, "speaker": {"name": "x"}},
    )
    one, two, three = read_manifest(path)
    assert (one.file, one.line, one.split) == (tmp_path / "a/1.wav", 1, "val")
    assert one.fields == {"file": "a/1.wav", "split": "val", "text": "Hello."}
    assert (two.file, two.line, two.split) == (tmp_path / "b.wav", 3, None)
    assert (three.line, three.split, three.fields["speaker"]) == (4, None, {"name": "x"})


@pytest.mark.parametrize("split", ["trian", "Train", "TRAIN", "tain"])
def test_a_misspelt_split_is_refused_with_line_and_nearest_name(
    tmp_path: Path, split: str
) -> None:
    path = write(tmp_path, {"file": "a", "split": "train"}, {"file": "b", "split": split})
    with pytest.raises(ValueError) as fault:
        read_manifest(path)
    assert str(fault.value) == (
        f"manifest {path}, line 2: split is {split!r}; expected one of train, val, test "
        "(did you mean 'train'?)"
    )


@pytest.mark.parametrize("split", [1, ["train"], {"train": 1}, True, "zzz", 0])
def test_a_split_like_none_of_the_three_is_refused(tmp_path: Path, split: object) -> None:
    path = write(tmp_path, {"file": "b", "split": split})
    with pytest.raises(ValueError, match=r"m\.jsonl, line 1: split is .*train, val, test"):
        read_manifest(path)


def test_a_split_may_be_required(tmp_path: Path) -> None:
    path = write(tmp_path, {"file": "a", "split": "test"}, {"file": "b"})
    assert [row.split for row in read_manifest(path)] == ["test", None]
    with pytest.raises(ValueError, match="line 2: split is missing; expected one of train"):
        read_manifest(path, split_required=True)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "expected a JSON object with 'file'"),
        ("[1]", "expected a JSON object with 'file'"),
        ('"a.wav"', "expected a JSON object with 'file'"),
        ("[" * 100_000, "expected a JSON object with 'file'"),
        ({"split": "train"}, "expected a JSON object with 'file'"),
        ({"flie": "a.wav"}, "expected a JSON object with 'file'; 'flie' is not known"),
        ({"file": 3}, "file is 3; expected a path"),
        ({"file": ""}, "file is ''; expected a path"),
    ],
)
def test_a_line_with_a_fault_is_named(tmp_path: Path, line: object, fault: str) -> None:
    path = write(tmp_path, {"file": "a"}, "", line)
    with pytest.raises(ValueError) as found:
        read_manifest(path)
    assert str(found.value) == f"manifest {path}, line 3: {fault}"


def test_a_manifest_that_is_no_text_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"manifest .*none\.jsonl: no such file"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="no such file"):
        read_manifest(tmp_path)
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"file": "fähre.wav"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.jsonl: is not UTF-8 text \(byte 11\)"):
        read_manifest(path)


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"file": st.text(st.characters(exclude_categories=["Cs"]), min_size=1)},
            optional={
                "split": st.sampled_from(["train", "val", "test"]),
                "text": st.text(st.characters(exclude_categories=["Cs"])),
            },
        ),
        max_size=5,
    ),
    ascii_only=st.booleans(),
    windows=st.booleans(),
)
def test_any_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, str]],
    ascii_only: bool,
    windows: bool,
) -> None:
    """Separators of lines inside a text, a byte-order mark and Windows' line ends included."""
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    end = "\r\n" if windows else "\n"
    text = end.join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    path.write_bytes(text.encode("utf-8-sig" if windows else "utf-8"))
    found = read_manifest(path)
    assert [row.fields for row in found] == rows
    assert [row.line for row in found] == list(range(1, len(rows) + 1))
