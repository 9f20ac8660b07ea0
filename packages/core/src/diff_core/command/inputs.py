"""Which files go into a command, and where they come out."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from diff_core.command.failures import Failures

__all__ = ["FileKind", "Job", "Source"]


@dataclass(frozen=True)
class Source:
    """An input file, and the folder in which it was found if a folder was given."""

    path: Path
    root: Path | None = None


@dataclass(frozen=True)
class Job:
    """One file to make from another."""

    source: Path
    target: Path


@dataclass(frozen=True)
class FileKind:
    """The files that a domain reads and writes.

    name:     what to call them, in the plural: "sound files"
    suffixes: lower case, with the dot, longest first where one ends another: (".nii.gz", ".nii")
    """

    name: str
    suffixes: tuple[str, ...]

    def matches(self, path: Path) -> bool:
        """Whether the name is that of such a file."""
        return path.name.lower().endswith(self.suffixes)

    def split(self, name: str) -> tuple[str, str]:
        """A file name's stem and suffix: ("scan", ".nii.gz")."""
        for suffix in self.suffixes:
            if name.lower().endswith(suffix):
                return name[: -len(suffix)], name[-len(suffix) :]
        stem = Path(name).stem
        return stem, name.removeprefix(stem)

    def expand(
        self,
        inputs: Sequence[str],
        failures: Failures,
        *,
        recursive: bool,
        skip: Callable[[Path], bool] | None = None,
    ) -> list[Source]:
        """Files, folders and patterns to files, each once.

        A file that is named is taken whatever its name; hidden files and those that `skip` names
        are left out of folders and patterns. A folder or pattern without files is a failure.
        """
        found: dict[Path, Source] = {}
        for given in inputs:
            path = Path(given)
            if path.is_dir():
                walk = path.rglob("*") if recursive else path.iterdir()
                files = [file for file in sorted(walk) if self._is_visible(file, path)]
                root = path
                more = "" if recursive else ", or add --recursive to search its subfolders"
                fault = f"no {self.name} in this folder; give another{more}"
            elif path.exists() or not glob.has_magic(given):
                found.setdefault(path.resolve(), Source(path))
                continue
            else:
                files = [Path(name) for name in sorted(glob.glob(given, recursive=True))]
                files = [file for file in files if file.is_file()]
                root = None
                fault = "no file matches this pattern; check it"
            if not files:
                failures.add(given, fault)
            for file in files:
                if not (skip and skip(file)):
                    found.setdefault(file.resolve(), Source(file, root))
        return list(found.values())

    def _is_visible(self, file: Path, root: Path) -> bool:
        hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
        return self.matches(file) and not hidden and file.is_file()

    def plan(
        self, sources: Sequence[Source], output: Path | None, tag: str, failures: Failures
    ) -> list[Job]:
        """Where each source goes.

        Beside itself as name + `tag`; into the folder `output` (trees are kept); or to that file.
        Two sources with the same target: the second is a failure.
        Raises typer.BadParameter where one output file is named for several inputs.
        """
        if output is not None and self.matches(output) and not output.is_dir():
            if len(sources) > 1 or any(source.root for source in sources):
                raise typer.BadParameter(
                    f"{output} is one file, but a folder or several inputs are given; "
                    "name a folder"
                )
            return [Job(source.path, output) for source in sources]
        jobs: dict[Path, Job] = {}
        for source in sources:
            path, root = source.path, source.root
            if output is None:
                target = path.with_name(tag.join(self.split(path.name)))
            else:
                target = output / (path.relative_to(root) if root else path.name)
            if (first := jobs.get(target)) is not None:
                text = f"would have the same output, {target}, as {first.source}; rename one"
                failures.add(str(path), text)
            else:
                jobs[target] = Job(path, target)
        return list(jobs.values())
