"""A command that writes each input in capitals: `python shared_files.py FOLDER OUT [skip]`.

A file that holds "bad" fails, and one that holds "wait" ends when another output is there.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from diff_core.command import Failures, FileKind, Job, process

TEXT = FileKind("text files", (".txt",))


@dataclass(frozen=True)
class Outcome:
    input: str


def main(folder: str, out: str, skip: str = "") -> int:
    failures = Failures("capitals")
    sources = TEXT.expand([folder, f"{folder}/none*"], failures, recursive=False)
    jobs = TEXT.plan(sources, Path(out), "_", failures)

    def do(job: Job, advance: object) -> Outcome:
        text = job.source.read_text()
        if text == "bad":
            raise ValueError("is bad; write another")
        while text == "wait" and not (job.target.parent / "other.txt").exists():
            pass
        with job.target.open("x") as file:  # an error if two processes make the same output
            file.write(text.upper())
        return Outcome(str(job.source))

    return process(
        jobs,
        do,
        failures,
        line=lambda outcome: outcome.input,
        warnings=lambda _: (),
        quiet=False,
        as_json=False,
        skip_existing=bool(skip),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
