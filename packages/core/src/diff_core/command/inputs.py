"""Which files go into a command, and where they come out."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import typer

from diff_core.command.failures import Failures
from diff_core.command.naming import as_options
from diff_core.command.search import search_folder, search_pattern
from diff_core.data import Split
from diff_core.files import refuse_existing

__all__ = ["FileKind", "Job", "Source", "files_of_split", "require_new"]


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


def require_new(*outputs: Path | None, overwrite: bool, job: Job | None = None) -> None:
    """Raise typer.BadParameter for a named output that exists, unless `overwrite`; None is none.

    For what one option or argument names; of many inputs each has a line of its own, when its
    turn comes, for an output that exists (`diff_core.files.refuse_existing`). Refused is also what
    is named twice, and the source and the target of `job`, beside which the outputs stand.
    """
    named = [os.path.realpath(path) for path in outputs if path is not None]
    if job is not None:
        named.append(os.path.realpath(job.target))
    try:
        refuse_existing(*outputs, overwrite=overwrite, source=job and job.source)
    except FileExistsError as error:
        text = as_options(str(error), {"overwrite": "--overwrite"})
        raise typer.BadParameter(text) from error
    for number, path in enumerate(named):
        if path in named[:number]:
            name = os.path.basename(path)
            raise typer.BadParameter(f"{name} is named for two outputs; choose another name")


def files_of_split(
    reference: Path,
    manifest: Path | None,
    split: Split | None,
    find: Callable[[Path, Path | None, Split], tuple[str, set[Path]]],
    noun: str,
) -> tuple[str, set[Path] | None]:
    """Return the counts of the splits of REF, in one line, and the files of --split; "" and None
    without that option.

    find: returns both for a folder, its manifest and a split; the files as resolved paths
    noun: a name for one of the files: "scan"

    Raises typer.BadParameter for --split of a REF that is no folder, or --manifest alone;
    ValueError for a split without files, and what `find` raises.
    """
    if split is None:
        if manifest is not None:
            raise typer.BadParameter("--manifest gives the splits of REF: add --split")
        return "", None
    if not reference.is_dir():
        raise typer.BadParameter(f"--split needs a folder REF; {reference} is none")
    counts, files = find(reference, manifest, split)
    if not files:
        raise ValueError(f"no {noun} is in split {split}; {counts}")
    return counts, files


@dataclass(frozen=True)
class FileKind:
    """The files that a domain reads and writes.

    name:     what to call them, in the plural: "sound files"
    suffixes: lower case, with the dot, longest first where one ends another: (".nii.gz", ".nii")
    foreign:  suffixes of such files that cannot be written, so no folder is named so either
    unread:   suffixes of such files that are not taken out of a folder, with the reason, for the
              line that counts them: {".m4a": "not read; convert them to WAV"}
    """

    name: str
    suffixes: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)

    def matches(self, path: Path) -> bool:
        """Return whether the name is that of such a file."""
        return path.name.lower().endswith(self.suffixes)

    def takes(self, path: Path) -> bool:
        """Return whether the command takes such a file, alone or as a part of a folder."""
        return self.matches(path)

    def unread_suffix(self, path: Path) -> str | None:
        """Return the suffix of a file that is not taken out of a folder; None if nobody asks."""
        name = path.name.lower()
        return next((s for s in self.unread if name.endswith(s) and not self.takes(path)), None)

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
        skip: Callable[[Path], bool] = lambda _path: False,
        enough: Container[str] = (),
    ) -> list[Source]:
        """Files, folders and patterns to files, each once.

        A file that is named is taken whatever its name; hidden files and those that `skip` names
        (`products`) are left out of folders and patterns. One line for each reason tells how many
        files the user may miss (`Failures.leave_out`). A folder or pattern without files is a
        failure, but for the inputs in `enough`.
        """
        found: dict[str, Source] = {}
        for given in inputs:
            path = Path(given)
            if not given:  # as of a variable that a script forgot to set
                failures.add('""', "is no name; give a file, a folder or a pattern")
                continue
            if path.is_dir():
                search = search_folder(path, self, failures, recursive=recursive, skip=skip)
                root = path
                more = "" if recursive else ", or add --recursive to search its subfolders"
                fault = f"no {self.name} in this folder; give another{more}"
            elif os.path.lexists(path) or not glob.has_magic(given):
                found.setdefault(os.path.realpath(path), Source(path))
                continue
            else:
                search, root = search_pattern(given, skip), None
                fault = "no file matches this pattern; check it"
            if not search.files and given not in enough:
                made = "only outputs of this command are there; give something else"
                failures.add(given, made if search.outputs else fault)
            search.report(given, failures)
            for file in search.files:
                found.setdefault(os.path.realpath(file), Source(file, root))
        return list(found.values())

    def products(
        self, inputs: Sequence[str], output: Path | None, tags: tuple[str, ...]
    ) -> Callable[[Path], bool]:
        """Which files and folders are earlier outputs, that a second run must not take for inputs.

        Where `output` is a folder: what lies in it, if it lies inside a folder that is searched.
        Else: what `plan` calls so, by the end of its name, `tags` (lower case).
        """
        if output is None or self._is_file(output):
            return lambda path: self._stem(path).lower().endswith(tags)
        folder = output.resolve()
        if not any(_searched(given) in folder.parents for given in inputs):
            return lambda _path: False
        return lambda path: folder in path.resolve().parents

    def _stem(self, path: Path) -> str:
        return self.split(path.name)[0] if self.matches(path) else path.name

    def _is_file(self, output: Path) -> bool:
        return self.matches(output) and not output.is_dir()

    def plan(
        self,
        sources: Sequence[Source],
        output: Path | None,
        tag: str,
        failures: Failures,
        rename: Callable[[Path], Path] = lambda target: target,
    ) -> list[Job]:
        """Where each source goes.

        Beside itself as name + `tag`; into the folder `output` (trees are kept); or to that file.
        `rename` may change each target. Two sources with the same target: the second is a failure.
        On a disk that does not tell cases apart, names that differ in case alone are the same.
        Raises typer.BadParameter where one output file is named for several inputs, or one of a
        `foreign` kind.
        """
        if output is not None and output.name.lower().endswith(self.foreign):
            known = ", ".join(s for s in self.suffixes if s not in self.foreign)
            raise typer.BadParameter(f"{output} is of a kind that cannot be written: {known} can")
        if output is not None and self._is_file(output):
            if len(sources) > 1 or any(source.root for source in sources):
                raise typer.BadParameter(
                    f"{output} is one file, but a folder or several inputs are given; "
                    "name a folder"
                )
            return [Job(source.path, rename(output)) for source in sources]
        jobs: dict[str, Job] = {}
        folds = output is not None and _folds_case(output)
        for source in sources:
            path, root = source.path, source.root
            if output is None:
                target = path.with_name(tag.join(self.split(path.name)))
            else:
                target = output / (path.relative_to(root) if root else path.name)
            target = rename(target)
            key = str(target).casefold() if folds else str(target)
            if (first := jobs.get(key)) is not None:
                text = f"would have the same output, {target}, as {first.source}; rename one"
                failures.add(str(path), text)
            else:
                jobs[key] = Job(path, target)
        return list(jobs.values())


def _folds_case(folder: Path) -> bool:
    """Return whether names that differ in case alone are one name there, as on macOS and Windows.

    A folder that is still to be made is judged by the nearest one above it.
    """
    here = folder.absolute()
    for each in (here, *here.parents):
        other = each.with_name(each.name.swapcase()) if each.name else each
        if other != each and each.exists():
            return other.exists() and other.samefile(each)
    return False


def _searched(given: str) -> Path:
    """The folder in which an input is looked for: itself, or where a pattern begins."""
    path = Path(given)
    if path.is_dir():
        return path.resolve()
    plain = takewhile(lambda part: not glob.has_magic(part), path.parts[:-1])
    return Path(*plain).resolve()
