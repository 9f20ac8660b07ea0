"""Inputs and outputs at addresses: s3://bucket/scans/, gs://..., and all else that fsspec opens.

The inputs are copied into a temporary folder, the command works there, and what it wrote is copied
to the address of the output. Lines name the addresses.
"""

from __future__ import annotations

import glob
import re
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import typer

from diff_core.lines import print_line

__all__ = ["as_given", "with_addresses"]

# pathlib makes one slash of two: a Path of "s3://bucket" is "s3:/bucket"
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(.+)")
_SHOWN: ContextVar[Mapping[str, str] | None] = ContextVar("addresses of local folders")


def as_given(text: str) -> str:
    """Return a line in which the temporary copies have the names of their originals."""
    for local, address in (_SHOWN.get(None) or {}).items():
        text = text.replace(local, address)
    return text


def with_addresses(
    params: MutableMapping[str, Any], options: Mapping[str, str], run: Callable[[], Any]
) -> Any:
    """Call `run` with the parameters `inputs` and `output` of a command brought to this machine.

    options: the option of each parameter, for errors

    What `run` wrote is copied to its address even if it ends early. Raises typer.BadParameter for
    an address that cannot be opened, and for one where only a file of this machine is taken.
    """
    inputs = [str(given) for given in params.get("inputs") or ()]
    output = _address(params.get("output"))
    for name, value in params.items():
        if isinstance(value, Path) and name != "output" and _address(value):
            option = options.get(name, name)
            raise typer.BadParameter(f"{option} takes a file of this machine, not {value}")
    if output is None and not any(map(_address, inputs)):
        return run()
    with tempfile.TemporaryDirectory(prefix="diff-") as folder, _shown({}) as shown:
        copies: list[_Copy] = []
        try:
            local: list[str] = []
            for number, given in enumerate(inputs):
                address = _address(given)
                if address is None:
                    local.append(given)
                    continue
                copy = _Copy.of(address, Path(folder, f"in{number}"))
                copies.append(copy)
                local += copy.fetch(recursive=bool(params.get("recursive")))
                shown[str(copy.local)] = copy.shown
            params["inputs"] = local
            if output is not None:
                copy = _Copy.of(output, Path(folder, "out"))
                copies.append(copy)
                shown[str(copy.local)] = copy.shown
                params["output"] = copy.expect()
        except Exception as error:  # each file system has faults of its own
            raise typer.BadParameter(as_given(" ".join(str(error).split()))) from error
        try:
            code = run()
        finally:
            lost = [fault for copy in copies if (fault := copy.send())]
            for fault in lost:
                print_line(fault, sys.stderr)
        return 1 if lost else code


@contextmanager
def _shown(names: dict[str, str]) -> Generator[dict[str, str]]:
    before = _SHOWN.set(names)
    try:
        yield names
    finally:
        _SHOWN.reset(before)


def _address(given: object) -> str | None:
    """Return an address with its two slashes; None for a path of this machine."""
    found = _ADDRESS.fullmatch(str(given)) if given is not None else None
    if found is None or found[1].lower() == "file" or Path(str(given)).exists():
        return None
    from fsspec import available_protocols

    return f"{found[1]}://{found[2]}" if found[1] in available_protocols() else None


@dataclass
class _Copy:
    """A folder of this machine for the folder of an address.

    system: the file system of fsspec
    path:   what is named by the address there: a file, a folder or a pattern
    parent: the folder there that `local` stands for
    shown:  its address
    before: the state of each file of `local` before the work
    """

    system: Any
    path: str
    parent: str
    local: Path
    shown: str
    before: dict[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])

    @classmethod
    def of(cls, address: str, local: Path) -> _Copy:
        """The copy of the folder in which an address lies, still empty."""
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address)
        path = path.rstrip("/")
        plain = path
        while glob.has_magic(plain):
            plain = str(PurePosixPath(plain).parent)
        parent = str(PurePosixPath(plain).parent) if plain == path else plain
        tail = PurePosixPath(path).relative_to(parent)
        local.mkdir(parents=True)
        return cls(system, path, parent, local, address.rstrip("/")[: -len(f"/{tail}")])

    @property
    def named(self) -> Path:
        """The local path of what the address names."""
        return self.local / PurePosixPath(self.path).relative_to(self.parent)

    def fetch(self, *, recursive: bool) -> list[str]:
        """Copy what the address names to this machine, and return the inputs there."""
        pattern = glob.has_magic(self.path)
        if pattern:
            files = [path for path in self.system.glob(self.path) if self.system.isfile(path)]
        elif self.system.isdir(self.path):
            depth = None if recursive else 1
            files = self.system.find(self.path, maxdepth=depth)
            self.named.mkdir(parents=True, exist_ok=True)
        else:
            files = [self.path] if self.system.exists(self.path) else []
        found: list[str] = []
        for path in sorted(files):
            target = self.local / PurePosixPath(path).relative_to(self.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.system.get_file(path, str(target))
            found.append(str(target))
        self.before = _state(self.local)
        return found if pattern and found else [str(self.named)]

    def expect(self) -> Path:
        """Return the local path of an output, with an empty file for each that is there already.

        They stand for what may not be replaced, and are not copied back.
        """
        if self.system.isdir(self.path):
            there = self.system.find(self.path)
            self.named.mkdir(parents=True, exist_ok=True)
        else:
            there = [self.path] if self.system.exists(self.path) else []
        for path in there:
            target = self.local / PurePosixPath(path).relative_to(self.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        self.before = _state(self.local)
        return self.named

    def send(self) -> str:
        """Copy what was written since to the address, and return what went wrong, or ""."""
        try:
            self._send()
        except Exception as error:  # each file system has faults of its own
            return f"{self.shown}: not all outputs could be written there: {error}"
        return ""

    def _send(self) -> None:
        for path, state in _state(self.local).items():
            if self.before.get(path) != state and not path.name.startswith("."):
                target = PurePosixPath(self.parent, path.relative_to(self.local).as_posix())
                self.system.makedirs(str(target.parent), exist_ok=True)
                self.system.put_file(str(path), str(target))


def _state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the time of the last change, ns, and the size of each file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}
