"""The packages as they would be published: links, addresses, licences, contents of a wheel."""

import json
import re
import struct
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "packages"))

import release  # noqa: E402

REPOSITORY = "https://example.org/owner/name"
RELATIVE = re.compile(r"\]\((?!\w+:|#)")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    release.prepare(folder, REPOSITORY)
    return folder


@pytest.mark.parametrize("name", release.NAMES)
def test_every_link_of_a_readme_leads_to_a_file_of_the_tag(name, published):
    text = (published / name / "README.md").read_text()
    project = tomllib.loads((published / name / "pyproject.toml").read_text())["project"]
    base = f"{REPOSITORY}/blob/v{project['version']}/"
    paths = re.findall(rf"\]\({re.escape(base)}([^)#]+)", text)
    assert paths and not RELATIVE.search(text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_a_link_keeps_its_place_and_a_url_stays():
    text = "[a](../../docs/x.md#here), [b](https://x.org/y), [c](#there), [d](LICENSE)"
    base = f"{REPOSITORY}/blob/v1/"
    expected = (
        f"[a]({base}docs/x.md#here), [b](https://x.org/y), [c](#there), "
        f"[d]({base}packages/core/LICENSE)"
    )
    assert release.with_links(text, "packages/core", base) == expected
    assert release.with_links(text, "packages/core", "") == (
        "a, [b](https://x.org/y), [c](#there), d"
    )


@pytest.mark.parametrize("name", release.NAMES)
def test_the_metadata_name_the_repository_and_nothing_else_changes(name, published):
    before = tomllib.loads((ROOT / "packages" / name / "pyproject.toml").read_text())
    after = tomllib.loads((published / name / "pyproject.toml").read_text())
    urls = after["project"].pop("urls")
    assert after == before
    assert urls["Source"] == REPOSITORY and all(u.startswith(REPOSITORY) for u in urls.values())


def test_an_address_that_is_no_address_is_refused(tmp_path):
    with pytest.raises(ValueError, match="https://HOST/OWNER/NAME"):
        release.prepare(tmp_path / "x", "git@example.org:owner/name")
    assert not (tmp_path / "x").exists()


def wheel(path: Path, *, without: str = "", more: str = "", licence: str = "") -> Path:
    """A wheel of diff-core with all its files, but for what is asked."""
    project = tomllib.loads((ROOT / "packages/core/pyproject.toml").read_text())["project"]
    source = ROOT / "packages" / "core" / "src"
    info = "diff_core-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(source.rglob("*")):
            name = file.relative_to(source).as_posix()
            if file.is_file() and "__pycache__" not in file.parts and name != without:
                archive.writestr(name, "")
        if more:
            archive.writestr(more, "")
        for name in project["license-files"]:
            if name != without:
                archive.writestr(f"{info}/licenses/{name}", "")
        text = f"Name: diff-core\nLicense-Expression: {licence or project['license']}\n"
        archive.writestr(f"{info}/METADATA", text)
    return path


def test_faults_of_a_wheel_are_found(tmp_path):
    path = tmp_path / "diff_core-0.1.0-py3-none-any.whl"
    assert release.faults(wheel(path)) == []
    assert release.faults(wheel(path, without="diff_core/io.py")) == ["lacks diff_core/io.py"]
    assert release.faults(wheel(path, more="tests/conftest.py")) == [
        "holds tests/conftest.py, which is no source"
    ]
    lost = "diff_core/py.typed"
    assert release.faults(wheel(path, without=lost)) == [f"lacks {lost}", "has no py.typed"]
    assert len(release.faults(wheel(path, without="LICENSE"))) == 1
    assert release.faults(wheel(path, licence="MIT")) == ["has the licence MIT"]


def test_bundled_weights_name_a_licence_for_each_part_of_their_data():
    found = sorted(ROOT.glob("packages/*/src/*/weights/*.safetensors"))
    assert len(found) >= 6
    for path in found:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            card = json.loads(json.loads(file.read(length))["__metadata__"]["card"])
        assert card["data"] and len(card["licences"]) == len(card["data"]), path.name
        assert all(card["licences"]), path.name


def test_the_workflow_publishes_the_tag_of_the_version_and_stores_no_password():
    text = (ROOT / ".github" / "workflows" / "publish.yml").read_text()
    assert 'tags: ["v*"]' in text and "nox -s build" in text and "attestations: true" in text
    assert "secrets." not in text and "password" not in text.split("name: publish")[1]


def test_every_action_is_pinned_by_hash_with_its_version_beside():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (.+)", path.read_text()):
            branch = "pypa/gh-action-pypi-publish@release/v1"  # pinned by the list for a release
            assert action == branch or re.fullmatch(r"\S+@[0-9a-f]{40}  # v[\d.]+", action), action
