"""The three packages as they are published: copies whose READMEs and metadata fit a package index.

python packages/release.py prepare build/packages [REPOSITORY]
python packages/release.py check dist

`prepare` copies the packages. With REPOSITORY, https://HOST/OWNER/NAME, the links of the READMEs
lead to the tag of the version there, and the metadata name the repository. Without it the links
become plain text, because an index cannot follow a path. `check` compares each wheel with the
sources. `nox -s build` runs both.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

__all__ = ["faults", "prepare", "with_links", "with_urls"]

FOLDER = Path(__file__).resolve().parent
NAMES = ("core", "audio", "medical")
LARGEST_MB = 60

# [text](path) or [text](path#place); a URL and a place of the same page are left alone
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def with_links(readme: str, folder: str, base: str) -> str:
    """Return a README whose relative links are absolute, or plain text where `base` is "".

    folder: where the README lies in the repository, "packages/core"
    base:   the address of a file of the repository without its path, "https://host/o/n/blob/v1/"
    """

    def lead(found: re.Match[str]) -> str:
        text, path, place = found[1], found[2], found[3] or ""
        if not base:
            return text
        return f"[{text}]({base}{posixpath.normpath(posixpath.join(folder, path))}{place})"

    return LINK.sub(lead, readme)


def with_urls(project: str, repository: str, version: str) -> str:
    """Return the text of a pyproject.toml with [project.urls] of a repository at its end."""
    urls = {
        "Source": repository,
        "Documentation": f"{repository}/tree/v{version}/docs",
        "Changelog": f"{repository}/blob/v{version}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    lines = (f'{name} = "{url}"' for name, url in urls.items())
    return "\n".join([project.rstrip("\n"), "", "[project.urls]", *lines, ""])


def prepare(target: Path, repository: str) -> None:
    """Copy the packages into `target`, as they are published from a repository, "" for none.

    Raises ValueError for an address that is not https.
    """
    if repository and not repository.startswith("https://"):
        raise ValueError(f"repository is {repository}; expected https://HOST/OWNER/NAME")
    shutil.rmtree(target, ignore_errors=True)
    for name in NAMES:
        copy = target / name
        shutil.copytree(FOLDER / name, copy, ignore=shutil.ignore_patterns("__pycache__"))
        project, readme = copy / "pyproject.toml", copy / "README.md"
        text = project.read_text()
        version = tomllib.loads(text)["project"]["version"]
        base = f"{repository}/blob/v{version}/" if repository else ""
        readme.write_text(with_links(readme.read_text(), f"packages/{name}", base))
        if repository:
            project.write_text(with_urls(text, repository, version))


def faults(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel of this repository, one sentence each.

    Checked are its size, that its modules and data are those of the sources and nothing else, its
    marker of types, and that every licence file that the sources name is in it.
    """
    name = wheel.name.split("-")[0]
    package = FOLDER / name.removeprefix("diff_")
    sources = {
        path.relative_to(package / "src").as_posix()
        for path in (package / "src" / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (metadata,) = (entry for entry in held if entry.endswith(".dist-info/METADATA"))
        header = HeaderParser().parsestr(archive.read(metadata).decode())
    folder = posixpath.dirname(metadata)
    found: list[str] = []
    if (size := wheel.stat().st_size / 1e6) > LARGEST_MB:
        found.append(f"has {size:.0f} MB; at most {LARGEST_MB} are wanted")
    modules = {entry for entry in held if not entry.startswith(folder)}
    found += [f"lacks {path}" for path in sorted(sources - modules)]
    found += [f"holds {path}, which is no source" for path in sorted(modules - sources)]
    if f"{name}/py.typed" not in held:
        found.append("has no py.typed")
    licences = (f"{folder}/licenses/{path}" for path in project["license-files"])
    found += [f"lacks {path}" for path in licences if path not in held]
    if header["License-Expression"] != project["license"]:
        found.append(f"has the licence {header['License-Expression']}")
    return found


def main(words: list[str]) -> int:
    """Run `prepare` or `check`, and return the exit code."""
    if words[:1] == ["prepare"] and len(words) in (2, 3):
        prepare(Path(words[1]), words[2].rstrip("/") if len(words) == 3 else "")
        return 0
    if words[:1] != ["check"] or len(words) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wheels = sorted(Path(words[1]).glob("*.whl"))
    told = [f"{wheel.name}: {fault}" for wheel in wheels for fault in faults(wheel)]
    if len(wheels) != len(NAMES):
        told.append(f"{words[1]}: holds {len(wheels)} wheels; expected {len(NAMES)}")
    for wheel in wheels:
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB of {LARGEST_MB}")
    print("\n".join(told), end="\n" if told else "")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
