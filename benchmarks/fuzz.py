"""Damaged files of every kind that the commands read: each is read, or refused in one line.

    python benchmarks/fuzz.py                     # 300 files of each kind
    python benchmarks/fuzz.py --count 1200        # 32,400 files
    python benchmarks/fuzz.py --kinds nii dcm --seed 7
    python benchmarks/fuzz.py --only dcm:17       # one file, with the traceback

A fault is an exception that a command would report as unexpected, a warning, a crash of the
process, more than 20 seconds of processor time or five minutes, or more than 3 GiB. The exit code
is 1 if there is one. Files for which a library in C writes to standard error are counted apart.
Equal seeds give equal files. `--keep FOLDER` keeps the files of the faults. File 0 of each kind is
not damaged: it must be read.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from fuzz_damage import damaged
from fuzz_files import KINDS, make_files

from diff_core.command import explain

SECONDS = 20  # of processor time: on a busy machine a file waits
HANGS = 300  # seconds
BYTES = 3 << 30
SHOWN = 5  # faults of a kind that are printed


class Late(BaseException):
    """The time is over."""


@dataclass(frozen=True)
class Result:
    """The outcome of one file.

    fault: "" if it was read or refused in one line
    said:  what a library in C wrote to standard error
    """

    number: int
    is_read: bool
    fault: str = ""
    said: str = ""


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300, help="files of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one file, in this process")
    parser.add_argument("--keep", type=Path, help="folder for the files of faults")
    given = parser.parse_args()
    if given.only:
        kind, number = given.only.split(":")
        return _show(kind, given.seed, int(number))
    total: Counter[str] = Counter()
    for kind in given.kinds:
        results = list(_run(kind, given.seed, given.count))
        faults = [result for result in results if result.fault]
        read = sum(result.is_read for result in results)
        print(
            f"{kind:12} {len(results):6} files  {read:6} read  "
            f"{len(results) - read - len(faults):6} refused  {len(faults):4} faults",
            flush=True,
        )
        if loud := [result for result in results if result.said]:
            print(
                f"    {len(loud)} with lines of a library, as {loud[0].number}: {loud[0].said!r}"
            )
        for fault in faults[:SHOWN]:
            print(f"    --only {kind}:{fault.number}  {fault.fault[:300]}", flush=True)
        if given.keep:
            for fault in faults:
                _keep(given.keep, kind, given.seed, fault.number)
        total.update(files=len(results), read=read, faults=len(faults))
    print(f"{total['files']} files, {total['read']} read, {total['faults']} faults")
    return 1 if total["faults"] else 0


def _run(kind: str, seed: int, count: int) -> Iterator[Result]:
    """Yield the results of all files, read in a process that is started again if it dies."""
    number = 0
    while number < count:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _child(kind, seed, range(number, count), writing)
        os.close(writing)
        with os.fdopen(reading) as lines:
            for line in lines:
                yield Result(**json.loads(line))
                number += 1
        _, status = os.waitpid(child, 0)
        if status:
            died = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {status}"
            yield Result(number, False, f"the process died: {died}")
            number += 1


def _child(kind: str, seed: int, numbers: range, out: int) -> None:
    """Read the files, write a line for each, and end the process."""
    code = 1
    try:
        faulthandler.disable()
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+b") as errors:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            os.dup2(errors.fileno(), 2)
            path = make_files(kind, Path(folder))
            good = path.read_bytes()
            neighbours = set(path.parent.iterdir())
            resource.setrlimit(resource.RLIMIT_AS, (_taken() + BYTES, resource.RLIM_INFINITY))
            with contextlib.suppress(Exception):
                KINDS[kind].read(path)  # the time of imports is no file's
            for number in numbers:
                path.write_bytes(_bytes(good, kind, seed, number))
                result = _read(kind, path, number)
                errors.seek(0)
                said = errors.read().decode(errors="replace")
                errors.truncate(0)
                errors.seek(0)
                result = replace(result, said=said[:200])
                os.write(out, json.dumps(vars(result)).encode() + b"\n")
                for made in set(path.parent.iterdir()) - neighbours:
                    if made.is_file():
                        made.unlink()
        code = 0
    finally:
        os._exit(code)


def _read(kind: str, path: Path, number: int) -> Result:
    """Read one file, and tell whether it was read or how it was refused."""
    begun, spent = time.monotonic(), sum(os.times()[:4])

    def late(_number: int, _frame: FrameType | None) -> None:
        if sum(os.times()[:4]) - spent > SECONDS or time.monotonic() - begun > HANGS:
            raise Late
        signal.alarm(SECONDS)

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    is_read, fault = True, ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for hidden in (ResourceWarning, DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", hidden)  # as Python does
        try:
            KINDS[kind].read(path)
        except Late:
            fault = f"takes more than {SECONDS} s"
        except MemoryError:
            fault = f"takes more than {BYTES >> 30} GiB"
        except Exception as error:
            is_read, text = False, explain(error)
            if text.startswith("unexpected ") or "\n" in text or not text:
                fault = text
            elif number == 0:
                fault = f"is valid, and refused: {text}"
        finally:
            signal.alarm(0)
    if warned and not fault:
        fault = f"warning: {warned[0].category.__name__}: {warned[0].message}"
    return Result(number, is_read and not fault, fault)


def _bytes(good: bytes, kind: str, seed: int, number: int) -> bytes:
    """The bytes of a file; number 0 is not damaged."""
    if number == 0:
        return good
    return damaged(good, f"{seed} {kind}", number, is_text=KINDS[kind].is_text)


def _taken() -> int:
    """The address space that the process takes."""
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def _show(kind: str, seed: int, number: int) -> int:
    """Read one file in this process, and print what happens."""
    with tempfile.TemporaryDirectory() as folder:
        path = make_files(kind, Path(folder))
        path.write_bytes(_bytes(path.read_bytes(), kind, seed, number))
        try:
            KINDS[kind].read(path)
        except Exception as error:
            traceback.print_exc()
            print(explain(error))
            return 1
    print("read")
    return 0


def _keep(where: Path, kind: str, seed: int, number: int) -> None:
    where.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = make_files(kind, Path(folder))
        data = _bytes(path.read_bytes(), kind, seed, number)
    (where / f"{kind}_{seed}_{number}_{KINDS[kind].name}").write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
