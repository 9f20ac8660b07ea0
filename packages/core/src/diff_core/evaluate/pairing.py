"""The files of two folders that are compared: one estimate for each reference."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Matched", "Naming", "match_files"]


@dataclass(frozen=True)
class Naming:
    """The names of the files of a domain.

    matches:  True for a file, or folder, that can be scored
    stem_of:  the name of a file without its ending
    tag:      ends the stem of an output: "_denoised"
    is_output: True for a file that is named like an output and lies beside what it was made of
    """

    matches: Callable[[Path], bool]
    stem_of: Callable[[Path], str]
    tag: str
    is_output: Callable[[Path], bool]

    @property
    def rule(self) -> str:
        """The rule of `match_files`, in one line."""
        return (
            f"REF/NAME is compared with EST/NAME{self.tag}, or with EST/NAME where there is no "
            f"such file; endings do not count. NAME{self.tag} that is older than NAME beside it, "
            "and two files of one name, are refused"
        )


@dataclass(frozen=True)
class Matched:
    """The pairs of two folders.

    pairs:    (name, reference, estimate), sorted by name; the name is a path without its ending
    failed:   (name, file, reason) of each reference that cannot be compared
    extra:    the same for estimates that have no reference
    left_out: references that are outputs of files beside them, which are not compared
    """

    pairs: tuple[tuple[str, Path, Path], ...]
    failed: tuple[tuple[str, Path, str], ...] = ()
    extra: tuple[tuple[str, Path, str], ...] = ()
    left_out: tuple[Path, ...] = ()


def match_files(
    reference: Path,
    estimate: Path,
    naming: Naming,
    *,
    only: Collection[Path] | None = None,
) -> Matched:
    """Return the estimate in the folder `estimate` of each file below the folder `reference`.

    An estimate has the path of its reference, but for endings and the tag. Of NAME and its output
    NAME_tag beside it the output is the estimate, unless it is older. What is not unique fails.

    only: references to compare, as resolved paths; estimates of others are passed over
    """
    references = _by_name(reference, naming)
    wanted: dict[str, list[Path]] = {}
    left_out: list[Path] = []
    for name, paths in references.items():
        made = [path for path in paths if len(paths) > 1 and naming.is_output(path)]
        left_out += made
        kept = [path for path in paths if path not in made]
        if only is not None:
            kept = [path for path in kept if path.resolve() in only]
        if kept:
            wanted[name] = kept
    candidates = _by_name(estimate, naming)
    pairs: list[tuple[str, Path, Path]] = []
    failed: list[tuple[str, Path, str]] = []
    for name, paths in sorted(wanted.items()):
        found = candidates.get(name, [])
        if len(paths) > 1:
            failed.append((name, paths[0], f"{_listed(paths)} have one name; keep one of them"))
        elif not found:
            failed.append((name, paths[0], f"has no counterpart in {estimate}; make it first"))
        else:
            try:
                pairs.append((name, paths[0], _estimate(found, naming)))
            except ValueError as error:
                failed.append((name, paths[0], str(error)))
    extra = tuple(
        (name, paths[0], f"no file of this name in {reference}; nothing to compare with")
        for name, paths in sorted(candidates.items())
        if name not in references
    )
    return Matched(tuple(pairs), tuple(failed), extra, tuple(sorted(left_out)))


def _estimate(found: list[Path], naming: Naming) -> Path:
    """Return the one estimate of several files of a name. Raises ValueError if there is none."""
    if len(found) == 1:
        return found[0]
    tagged = [path for path in found if naming.stem_of(path).endswith(naming.tag)]
    plain = [path for path in found if path not in tagged]
    if len(tagged) != 1 or len(plain) != 1:
        raise ValueError(f"has {len(found)} estimates: {_listed(found)}; keep one of them")
    if tagged[0].stat().st_mtime_ns < plain[0].stat().st_mtime_ns:
        raise ValueError(
            f"has 2 estimates, and {tagged[0].name} is older than {plain[0].name}; remove the "
            "one that is stale"
        )
    return tagged[0]


def _by_name(folder: Path, naming: Naming) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        if naming.matches(path):
            stem = naming.stem_of(path)
            if naming.is_output(path) and not stem.endswith(naming.tag):
                continue  # what was taken away and the like
            name = inside.with_name(stem.removesuffix(naming.tag) or stem).as_posix()
            found.setdefault(name, []).append(path)
    return found


def _listed(paths: list[Path]) -> str:
    return " and ".join(path.name for path in paths)
