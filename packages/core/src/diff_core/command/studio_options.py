"""What the `studio` commands of all domains take, without what serving needs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from diff_core.command.failures import Failures

__all__ = ["Browser", "Largest", "Port", "ready"]

NEEDED = ("starlette", "uvicorn")

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any that is free.")
]
Browser = Annotated[
    bool, typer.Option("--no-browser", help="Only print the address; open nothing.")
]
Largest = Annotated[
    int, typer.Option(min=1, metavar="MIB", help="Refuse uploads larger than this.")
]


def ready(distribution: str, failures: Failures) -> bool:
    """Whether what serving needs is installed; says what to do where it is not."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        failures.add(
            "the page",
            f'needs {" and ".join(missing)}; run: pip install "{distribution}[studio]"',
        )
    return not missing
