"""What holds for all modules of diff_audio: names that are handed on, and words of errors."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import diff_audio

ROOT = Path(diff_audio.__file__).parent
TEXT_COMMANDS = {f"text/{name}.py" for name in ("__main__", "pack", "train_letters")}
COMMANDS = {"data/inputs.py"} | TEXT_COMMANDS
FACES = sorted(path.parent for path in ROOT.rglob("__init__.pyi"))


@pytest.mark.parametrize("folder", FACES, ids=lambda folder: folder.name)
def test_every_name_of_a_face_is_there(folder: Path) -> None:
    face = importlib.import_module(".".join(folder.relative_to(ROOT.parent).parts))
    assert face.__all__
    for name in face.__all__:
        getattr(face, name)


def texts(path: Path) -> Iterator[str]:
    """The strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_the_library_names_arguments_and_not_options() -> None:
    """Commands translate: an option means nothing to who calls a function."""
    library = [
        path
        for path in ROOT.rglob("*.py")
        if path.parent != ROOT and path.relative_to(ROOT).as_posix() not in COMMANDS
    ]
    assert len(library) > 60
    for path in library:
        for text in texts(path):
            assert not re.search(r"(?<![\w-])--[a-z]", text), f"{path}: {text!r}"
