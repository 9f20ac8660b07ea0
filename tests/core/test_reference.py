"""The references are complete: every public name of the packages appears in one, with a text of
its own.

The pages name modules, and are made from the docstrings of the names in each `__all__`; what has
none is left out without a word. The commands of the domains are not in them: `--help` and the
pages of use describe those.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "audio", "medical")
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / "packages" / package / "src").rglob("*.py")
    if "run(app" not in path.read_text()
)
PAGES = {
    name
    for package in PACKAGES
    for page in (ROOT / "docs" / package / "api").glob("*.md")
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)
}


def undocumented(tree: ast.Module) -> Iterator[str]:
    """The names of `__all__` that the module defines without a docstring."""
    public: list[str] = []
    documented: dict[str, bool] = {}
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            documented[node.name] = ast.get_docstring(node) is not None
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            for target in targets:
                if isinstance(target, ast.Name):
                    documented[target.id] = text
                    if target.id == "__all__" and isinstance(node.value, ast.List):
                        public = [ast.literal_eval(name) for name in node.value.elts]
    return (name for name in public if not documented.get(name, True))


def within_source(path: Path) -> Path:
    """The path of a module below its `src`."""
    return Path(*path.parts[path.parts.index("src") + 1 :])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(within_source(path)))
def test_every_public_name_is_in_the_reference(path: Path) -> None:
    parts = within_source(path).with_suffix("").parts
    within = {".".join(parts[: i + 1]) for i in range(1, len(parts))}
    assert within & PAGES or parts[1:] == ("__init__",), f"no page has {'.'.join(parts)}"
    assert not list(undocumented(ast.parse(path.read_text())))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_page_and_its_modules_are_in_the_overview(package: str) -> None:
    docs = ROOT / "docs" / package
    overview, nav = (docs / "api.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    for page in (docs / "api").glob("*.md"):
        (row,) = re.findall(rf"^\| \[.*\]\(api/{page.name}\) \|.*$", overview, re.MULTILINE)
        modules = re.findall(r"^::: diff_\w+\.(\w+)$", page.read_text(), re.MULTILINE)
        assert modules and all(f"`{module}`" in row for module in modules)
        assert f"{package}/api/{page.name}" in nav


def test_a_name_without_a_text_is_found() -> None:
    source = '__all__ = ["A", "B", "C", "f"]\nA = 1\n"""One."""\nB = 2\nclass C: pass\n'
    source += 'def f():\n    """Two."""\n'
    assert list(undocumented(ast.parse(source))) == ["B", "C"]
