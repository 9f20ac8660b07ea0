"""The notebooks of examples/ run from top to bottom, and their results are what they say."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"


def run(name: str) -> tuple[dict[str, Any], list[Any]]:
    """Run the cells of a notebook; return its names and the values of the last lines."""
    book = json.loads((FOLDER / f"{name}.ipynb").read_text())
    assert book["nbformat"] == 4 and len({cell["id"] for cell in book["cells"]})
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for cell in book["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [] and cell["execution_count"] is None  # kept out of git
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
            shown += [] if value is None else [value]
    return names, shown


def test_every_notebook_has_a_test():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {"denoise", "enhance", "samplers"}


def test_the_notebook_of_sound_shows_players(monkeypatch):
    monkeypatch.chdir(FOLDER)
    names, shown = run("denoise")
    assert [html.count("<audio") for html in (value._repr_html_() for value in shown)] == [3, 3]
    assert names["clean"].std() < names["wave"].std()


def test_the_notebook_of_scans_shows_slices(monkeypatch):
    monkeypatch.chdir(FOLDER)
    names, shown = run("enhance")
    assert shown[0]._repr_html_().count("<figure") == 6
    noisy, clean = names["volume"], names["result"].volume
    assert np.diff(clean, axis=0).std() < np.diff(noisy, axis=0).std()


def test_the_notebook_of_samplers_shows_errors_that_fall_by_the_order():
    _, (errors,) = run("samplers")
    assert errors["Ddim", 40] < errors["Ddim", 20] < errors["Ddim", 10]
    ratio = errors["DpmSolverPP2M", 20] / errors["DpmSolverPP2M", 40]
    assert ratio > 2.5 > errors["Ddim", 20] / errors["Ddim", 40] > 1.5  # order 2, order 1
