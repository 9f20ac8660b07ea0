"""The page of features and the reference name what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "core"


def test_every_test_named_on_the_page_exists() -> None:
    named = re.findall(
        r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`", (DOCS / "features.md").read_text()
    )
    assert len(named) > 80
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (path := ROOT / "tests" / "core" / file).exists()
        or f"\ndef {test}(" not in path.read_text()
    ]
    assert not missing


def test_every_feature_names_a_test() -> None:
    for line in (DOCS / "features.md").read_text().splitlines():
        if line.startswith("| ") and not re.match(r"\| (feature|gap)", line):
            assert re.search(r"`(?:\w+/)?test_", line), line


def test_the_reference_covers_every_module() -> None:
    package = ROOT / "packages" / "core" / "src" / "diff_core"
    modules = {
        path.stem if path.suffix else path.name
        for path in package.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    pages = "".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    assert set(re.findall(r"^::: diff_core\.(\w+)$", pages, re.MULTILINE)) == modules
    overview = (DOCS / "api.md").read_text()
    assert {name for name in modules if f"`{name}`" not in overview} == set()
    for page in (DOCS / "api").glob("*.md"):
        assert f"(api/{page.name})" in overview


def test_modules_named_in_the_index_exist() -> None:
    for name in re.findall(r"`(diff_core(?:\.\w+)+)`", (DOCS / "index.md").read_text()):
        assert importlib.util.find_spec(name), name
