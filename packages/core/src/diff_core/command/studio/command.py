"""The commands that serve a page of tools: `studio` to this machine, `serve` to a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diff_core.command import options
from diff_core.command.app import App
from diff_core.command.failures import Failures
from diff_core.command.run import use, version_of

if TYPE_CHECKING:
    from diff_core.command.studio.models import Models
    from diff_core.command.studio.page import Page

__all__ = ["TOKEN", "serve_command", "studio_command"]

NEEDED = ("jinja2", "starlette", "uvicorn")

TOKEN = "DIFF_TOKEN"
"""The variable of the environment that may hold the token of `serve`."""

STUDIO_EXAMPLES = {
    "": "Open the page in the browser.",
    "--port 8000 --no-browser": "Serve the page at a fixed port.",
}
SERVE_HELP = """Serve the page of the studio to a network, with a token, a queue and limits.

Everyone who signs in with the token sees their own files alone. Programs send the header
Authorization: Bearer TOKEN. /health answers in JSON without a token. Encryption is the part of a
reverse proxy, which must stand before a server that other machines reach."""
SERVE_EXAMPLES = {
    "--port 8000": "Serve this machine, without a token.",
    "--host 0.0.0.0 --token-file token.txt --largest 200": "Serve a network, with a token.",
}

Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")]
Browser = Annotated[
    bool, typer.Option("--no-browser", help="Only print the address; open nothing.")
]
Largest = Annotated[
    int, typer.Option(min=1, metavar="MIB", help="Refuse uploads larger than this.")
]
Host = Annotated[
    str,
    typer.Option(
        help="The address to listen on; 0.0.0.0: all of this machine. One that other machines "
        "reach needs a token."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"A file with the token that everyone must show. Default: the variable {TOKEN} of "
        "the environment.",
    ),
]
Queue = Annotated[int, typer.Option(min=1, metavar="N", help="Refuse files while this many wait.")]
Longest = Annotated[
    float, typer.Option(min=1, metavar="SECONDS", help="Stop the work on a file after this time.")
]
Keep = Annotated[
    int, typer.Option(min=1, metavar="N", help="Keep at most this many results, the latest.")
]
Hours = Annotated[
    float, typer.Option(min=0.01, metavar="HOURS", help="Remove a result after this time.")
]


def studio_command(
    app: App,
    page: Callable[[], Page],
    *,
    distribution: str,
    command: str,
    help: str,
) -> None:
    """Add the command `studio` to an app: it serves the page to this machine until it is
    interrupted.

    page:         returns the page, which depends on what is installed
    distribution: the name to install the extra `studio` of: "diff-audio"
    command:      how the app is called, for messages: "diff_audio.studio"
    help:         of the command
    """

    @app.command(help=help, examples=STUDIO_EXAMPLES)
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
        if _is_missing(distribution, failures):
            return 1
        from diff_core.command.studio.limits import Limits
        from diff_core.command.studio.serve import serve

        use(device, threads)
        if (models := _models(page(), device, weights, failures)) is None:
            return 1
        try:
            serve(
                models.page,
                models.work,
                port=port,
                browser=not no_browser,
                limits=Limits(largest << 20),
                name=f"{distribution} studio",
            )
        except OSError as error:
            failures.add(f"port {port}", error)
            return 1
        return 0


def serve_command(
    app: App,
    page: Callable[[], Page],
    *,
    distribution: str,
    command: str,
    note: str = "",
) -> None:
    """Add the command `serve` to an app: the page of `studio_command` for a network, with the same
    parameters but `note`, the last sentence of its help.
    """

    @app.command(help=f"{SERVE_HELP} {note}".rstrip(), examples=SERVE_EXAMPLES)
    def serve(  # pyright: ignore[reportUnusedFunction]
        host: Host = "127.0.0.1",
        port: Port = 8000,
        token_file: TokenFile = None,
        largest: Largest = 1024,
        longest: Longest = 3600,
        queue: Queue = 8,
        keep: Keep = 50,
        hours: Hours = 24,
        device: options.Device = "auto",
        threads: options.Threads = None,
        weights: options.Weights = None,
        debug: options.Debug = False,
    ) -> int:
        failures = Failures(command, debug=debug)
        if _is_missing(distribution, failures):
            return 1
        from diff_core.command.studio.limits import Limits
        from diff_core.command.studio.serve import is_local, serve_network

        token = _token(token_file)
        if token is None and not is_local(host):
            raise typer.BadParameter(
                f"--host {host} lets other machines in; name a token with --token-file, or in the "
                f"variable {TOKEN}"
            )
        use(device, threads)
        if (models := _models(page(), device, weights, failures)) is None:
            return 1
        limits = Limits(largest << 20, queue, longest, keep, hours, "send a smaller one")
        try:
            serve_network(
                models.page,
                models.work,
                host=host,
                port=port,
                token=token,
                limits=limits,
                name=version_of(distribution),
            )
        except OSError as error:
            failures.add(f"{host}, port {port}", error)
            return 1
        return 0


def _is_missing(distribution: str, failures: Failures) -> bool:
    """Return whether a library of the page is missing, and report how to install it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        text = f'needs {" and ".join(missing)}; run: pip install "{distribution}[studio]"'
        failures.add("the page", text)
    return bool(missing)


def _models(page: Page, device: Any, weights: Path | None, failures: Failures) -> Models | None:
    """Return the models with the first, or the one that is named, loaded; None if it cannot be."""
    from diff_core.command.studio.models import Models

    try:
        return Models(page, weights, device)
    except ValueError as error:
        failures.add("the model", error)
        return None


def _token(file: Path | None) -> str | None:
    """Return the token of a file or of the environment, None without one; wrong usage if it is too
    short to keep anyone out.
    """
    from diff_core.command.studio.gate import SHORTEST

    if file is None:
        where, token = TOKEN, os.environ.get(TOKEN)
    else:
        where = f"--token-file {file}"
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{where} cannot be read ({error})") from error
    if token is not None and (len(token) < SHORTEST or not token.isprintable()):
        raise typer.BadParameter(
            f"{where} has a token of {len(token)} characters; expected one line of at least "
            f"{SHORTEST}"
        )
    return token
