"""Files: known by their bytes, never replaced unasked, whole or absent."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from diff_core.command import require_new
from diff_core.files import fingerprint, refuse_existing, replacing, sha256, write_json


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_a_file_is_known_by_its_bytes(size, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256(path) == sha256(str(path)) == expected
    assert fingerprint(path) == expected[:16]


def test_what_exists_is_refused_unless_told(tmp_path):
    there, absent = tmp_path / "a.wav", tmp_path / "b.wav"
    there.write_text("precious")
    refuse_existing(absent, None)
    refuse_existing(there, overwrite=True)
    with pytest.raises(FileExistsError, match=r"a\.wav exists; add overwrite=True"):
        refuse_existing(absent, there)
    require_new(absent, None, overwrite=False)
    require_new(there, overwrite=True)
    with pytest.raises(typer.BadParameter, match=r"a\.wav exists; add --overwrite"):
        require_new(None, there, overwrite=False)


@pytest.mark.parametrize("link", [os.symlink, os.link, None])
def test_the_input_is_never_an_output(link, tmp_path):
    source = tmp_path / "in.wav"
    source.write_text("precious")
    output = source
    if link is not None:
        output = tmp_path / "out.wav"
        link(source, output)
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="is the input itself"):
            refuse_existing(output, overwrite=overwrite, source=source)


@pytest.mark.parametrize("name", ["a.nii.gz", "録" * 80 + ".wav"])
def test_a_file_appears_when_it_is_whole(name, tmp_path):
    """Also one whose name is nearly as long as a file system allows."""
    path = tmp_path / name
    with pytest.raises(ValueError, match="half"), replacing(path) as temporary:
        temporary.write_text("half")
        raise ValueError("half done")
    assert not list(tmp_path.iterdir())
    with replacing(path) as temporary:
        assert temporary.suffix == path.suffix and not path.exists()
        temporary.write_text("whole")
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_text() == "whole"


def test_looking_at_files_needs_no_torch():
    program = "import sys, diff_core.files, diff_core.command.options; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not {"torch", "numpy", "safetensors"} & set(done.stdout.split())


def test_only_the_owner_may_forbid(tmp_path: Path):
    """A finished file gets the permissions of any new file."""
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "made") as temporary:
        temporary.write_text("")
    assert (tmp_path / "made").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "facts.json"
    value = {"name": "Grüße \udcff", "list": [1, None, 0.5]}
    write_json(path, value)
    text = path.read_bytes()
    assert json.loads(text) == value
    assert text.endswith(b"}\n") and b'\n  "list": [\n    1,' in text
    with pytest.raises(TypeError):
        write_json(path, {"name": object()})
    assert path.read_bytes() == text
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]
