"""The faces of diff_audio: every name that a package hands on is there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import diff_audio

ROOT = Path(diff_audio.__file__).parent
FACES = sorted(path.parent for path in ROOT.rglob("__init__.pyi"))


@pytest.mark.parametrize("folder", FACES, ids=lambda folder: folder.name)
def test_every_name_of_a_face_is_there(folder: Path) -> None:
    face = importlib.import_module(".".join(folder.relative_to(ROOT.parent).parts))
    assert face.__all__
    for name in face.__all__:
        getattr(face, name)
