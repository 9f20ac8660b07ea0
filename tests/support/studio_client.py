"""The real studio in a process of its own, and a browser's requests to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

__all__ = ["Studio", "running"]


@dataclass(frozen=True)
class Studio:
    """A studio that runs at `address`; `scratch` is where its temporary folder lies."""

    address: str
    scratch: Path

    def ask(
        self, path: str, method: str = "GET", data: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of the answer. `path` is below the address, or from the root."""
        root = re.match(r"http://[^/]+", self.address)
        assert root
        url = root[0] + path if path.startswith("/") else self.address + path
        try:
            with urlopen(Request(url, data, headers, method=method), timeout=60) as answer:
                return answer.status, answer.read()
        except HTTPError as fault:
            return fault.code, fault.read()

    def send(self, name: str, data: bytes, **choices: object) -> tuple[int, dict[str, Any]]:
        """Status and what is said of an upload."""
        query = urlencode({"name": name, **choices})
        status, body = self.ask(f"tasks?{query}", "POST", data)
        return status, json.loads(body)

    def finished(self, number: int) -> dict[str, Any]:
        """What is said of a task when it is over."""
        while True:
            task = json.loads(self.ask(f"tasks/{number}")[1])
            if task["state"] not in ("waiting", "working"):
                return task
            time.sleep(0.1)  # as the page does

    def result(self, name: str, data: bytes, **choices: object) -> tuple[dict[str, Any], bytes]:
        """What is said of a file that went through, and the file that came out."""
        status, task = self.send(name, data, **choices)
        assert status == 201, task
        task = self.finished(task["number"])
        assert task["state"] == "done", task
        return task, self.ask(f"tasks/{task['number']}/result")[1]


@contextmanager
def running(module: str, scratch: Path, *options: str) -> Generator[Studio]:
    """Starts `python -m module`, and stops it as a closed terminal would; its temporary folder
    must then be gone.
    """
    command = [sys.executable, "-m", module, "--no-browser", *options]
    environment = os.environ | {"TMPDIR": str(scratch)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=scratch
    ) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", process.stdout.readline())
        assert found
        try:
            yield Studio(found[0], scratch)
        finally:
            process.send_signal(signal.SIGHUP)
            process.wait(60)
    assert list(scratch.glob("diff-studio-*")) == []
