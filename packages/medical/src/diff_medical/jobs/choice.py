"""The choice among the files of a folder: no magnitude images are passed by, and no two files have
one output.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diff_core.command import Failures, Job
from diff_core.command.inputs import Source
from diff_medical.scan.bids import is_bids, sidecar_path

__all__ = ["distinct", "magnitudes"]


def magnitudes(sources: Sequence[Source], failures: Failures) -> list[Source]:
    """Return the sources without those of folders that are no magnitude images by their names.

    These are named in one line with the reason. A file that is given by itself stays: it is
    refused when its turn comes. A folder with no others is a failure.
    """
    if not any(source.root for source in sources):
        return list(sources)
    from diff_medical.scan.declared import no_magnitude

    reasons = {
        source.path: reason
        for source in sources
        if source.root is not None and (reason := no_magnitude(source.path))
    }
    kept = [source for source in sources if source.path not in reasons]
    if reasons:
        path, reason = next(iter(reasons.items()))
        count = f"{len(reasons)} files are" if len(reasons) > 1 else "1 file is"
        text = f"{count} passed by: {path.name} is {reason}; noise removal is for magnitude images"
        (failures.warn if kept else failures.add)(str(path.parent), text)
    return kept


def distinct(jobs: Sequence[Job], failures: Failures) -> list[Job]:
    """Return the jobs without those whose output, or its sidecar, is that of an earlier job; each
    of these is a failure.
    """
    taken: dict[Path, Path] = {}
    kept: list[Job] = []
    for job in jobs:
        target = job.target.resolve()
        outputs = {target, sidecar_path(target)} if is_bids(job.source) else {target}
        first = next((taken[one] for one in outputs if one in taken), None)
        if first is not None:
            text = f"would have the same output, {job.target}, as {first}; rename one"
            failures.add(str(job.source), text)
            continue
        taken |= dict.fromkeys(outputs, job.source)
        kept.append(job)
    return kept
