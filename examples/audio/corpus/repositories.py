"""Files of cloned repositories, read from git: a work tree is not needed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Repository", "find"]


class Repository:
    """The newest commit of a clone.

    name:   owner/name
    commit: its hash
    files:  path -> size in bytes of each file that is there; a clone may lack some
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder
        self.commit = self._git("rev-parse", "HEAD").decode().strip()
        self._blobs = {}
        for entry in self._git("ls-tree", "-r", "-z", "HEAD").decode().split("\0"):
            if entry:
                meta, path = entry.split("\t", 1)
                self._blobs[path] = meta.split()[2]
        check = "\n".join(self._blobs.values()) + "\n"
        lines = self._git("cat-file", "--batch-check", given=check.encode()).decode().splitlines()
        self.files = {
            path: int(line.split()[2])
            for path, line in zip(self._blobs, lines, strict=True)
            if not line.endswith("missing")
        }

    def _git(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["git", "-C", str(self._folder), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        if done.returncode:
            raise ValueError(f"{self._folder}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def below(self, folder: str, *suffixes: str) -> list[str]:
        """Return the paths of the files below a folder ("" for all) with one of the suffixes."""
        head = f"{folder}/" if folder else ""
        return [
            path
            for path in sorted(self.files)
            if path.startswith(head) and path.lower().endswith(suffixes)
        ]

    def read(self, path: str) -> bytes:
        """Return what a file holds. Raises KeyError if the clone has no such file."""
        if path not in self.files:
            raise KeyError(f"{self.name}: no file {path}")
        return self._git("cat-file", "blob", self._blobs[path])

    def text(self, path: str) -> str:
        """Return a file as text, or "" if the clone has no such file."""
        return self.read(path).decode("utf-8", errors="replace") if path in self.files else ""

    def texts(self, paths: Sequence[str]) -> dict[str, str]:
        """Return path -> text of those of the files that the clone has."""
        there = [path for path in paths if path in self.files]
        read = self._contents(there)
        return {
            p: content.decode("utf-8", "replace") for p, content in zip(there, read, strict=True)
        }

    def write(self, copies: Sequence[tuple[str, Path]]) -> int:
        """Copy files, each (path, where to), and return how many were written.

        A file that is there at its size is left alone.
        """
        wanted = [
            (p, to)
            for p, to in copies
            if not (to.is_file() and to.stat().st_size == self.files[p])
        ]
        for (_, to), content in zip(wanted, self._contents([p for p, _ in wanted]), strict=True):
            to.parent.mkdir(parents=True, exist_ok=True)
            partial = to.with_name(f".{to.name}.part")
            partial.write_bytes(content)
            partial.replace(to)
        return len(wanted)

    def _contents(self, paths: Sequence[str]) -> Iterator[bytes]:
        if not paths:
            return
        command = ["git", "-C", str(self._folder), "cat-file", "--batch"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
            assert git.stdin is not None
            assert git.stdout is not None
            for path in paths:
                git.stdin.write(f"{self._blobs[path]}\n".encode())
                git.stdin.flush()
                size = int(git.stdout.readline().split()[2])
                yield git.stdout.read(size)
                git.stdout.read(1)
            git.stdin.close()


def find(clones: Path, name: str) -> Repository | None:
    """Return the clone of owner/name in a folder of clones, or None if it is not there.

    A clone is the folder `owner+name` or `owner/name`, or the git directory `repo` in it.
    """
    owner, short = name.split("/")
    for folder in (clones / f"{owner}+{short}", clones / owner / short):
        for place in (folder, folder / "repo", folder / "repo" / ".git"):
            if (place / ".git").exists() or (place / "HEAD").is_file():
                return Repository(name, place)
    return None
