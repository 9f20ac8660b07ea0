"""The command that serves a studio: a domain gives its page, its model and its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from diff_core.command import options
from diff_core.command.app import App
from diff_core.command.failures import Failures
from diff_core.command.run import use
from diff_core.command.studio.page import Page
from diff_core.command.studio.tasks import Choices, Made
from diff_core.progress import Progress

__all__ = ["studio_command"]

Model = TypeVar("Model")

NEEDED = ("jinja2", "starlette", "uvicorn")

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any that is free.")
]
Browser = Annotated[
    bool, typer.Option("--no-browser", help="Only print the address; open nothing.")
]
Largest = Annotated[
    int, typer.Option(min=1, metavar="MIB", help="Refuse uploads larger than this.")
]


def studio_command(
    app: App,
    page: Callable[[], Page],
    load: Callable[[Path | None, str], Model],
    work: Callable[[Model, Path, Choices, Progress], Made],
    *,
    distribution: str,
    command: str,
    help: str,
    examples: Mapping[str, str] | None = None,
) -> None:
    """Add the command `studio` to an app: it loads the model once and serves the page until it is
    interrupted.

    page:         returns the page, which depends on what is installed
    load:         reads the model from a file, None for the one that comes with the package, onto
                  a device ("auto", "cpu", ...); its ValueError is reported in one line
    work:         makes a result and a page about it from an upload; see `tasks.Work`
    distribution: the name to install the extra `studio` of: "diff-audio"
    command:      how the app is called, for messages: "diff_audio.studio"
    help, examples: of the command, see `App.command`
    """

    @app.command(help=help, examples=examples)
    def studio(  # pyright: ignore[reportUnusedFunction]
        port: Port = 0,
        no_browser: Browser = False,
        largest: Largest = 1024,
        device: options.Device = "auto",
        threads: options.Threads = None,
        weights: options.Weights = None,
        debug: options.Debug = False,
    ) -> int:
        failures = Failures(command, debug=debug)
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            text = f'needs {" and ".join(missing)}; run: pip install "{distribution}[studio]"'
            failures.add("the page", text)
            return 1
        from diff_core.command.studio.serve import serve

        use(device, threads)
        try:
            model = load(weights, device)
        except ValueError as error:
            failures.add("the model", error)
            return 1
        try:
            serve(
                page(),
                partial(work, model),
                port=port,
                browser=not no_browser,
                most_bytes=largest << 20,
                name=f"{distribution} studio",
            )
        except OSError as error:
            failures.add(f"port {port}", error)
            return 1
        return 0
