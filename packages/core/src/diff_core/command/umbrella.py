"""One command for a whole domain: `diff-audio denoise` for `python -m diff_audio.denoise`.

Each sub-command is a module of the domain's package with a typer `app`. None of them imports torch
before it runs, so that the umbrella may import them all to complete and to help.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from diff_core.command.app import App
from diff_core.command.doctor import Doctor
from diff_core.command.run import version_of
from diff_core.command.weights import find_weights

__all__ = ["umbrella"]


def umbrella(
    distribution: str, about: str, commands: Mapping[str, str], weights: Path, doctor: Doctor
) -> typer.Typer:
    """The app `distribution`, with shell completion, `--version` and `doctor`.

    about:    what the domain is for, one sentence
    commands: module of each sub-command by the sub-command's name
    weights:  folder of the checkpoints that come with the package; --version prints their hashes
    """
    app = App(name=distribution, help=about, no_args_is_help=True, add_completion=True)

    def tell_version(wanted: bool) -> None:
        if wanted:
            print(version_of(distribution))
            for file in find_weights(weights):
                print(f"{file.path.name} sha256 {file.fingerprint}")
            raise typer.Exit

    @app.callback()
    def root(  # pyright: ignore[reportUnusedFunction]
        # as a default, for an annotation is looked up where `tell_version` is not
        version: bool = typer.Option(
            False,
            "--version",
            callback=tell_version,
            is_eager=True,
            help="Show the version and the hashes of the weights.",
        ),
    ) -> None:
        pass

    for name, module in commands.items():
        _mount(app, name, import_module(module).app)

    @app.command("doctor")
    def examine(  # pyright: ignore[reportUnusedFunction]
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON a check.")] = False,
    ) -> int:
        """Check the installation, device, libraries and weights, and say what to do."""
        return doctor.examine(as_json=as_json)

    return app


def _mount(app: typer.Typer, name: str, part: typer.Typer) -> None:
    """An app of one command becomes a command, an app of several a group."""
    if part.registered_callback is None and len(part.registered_commands) == 1:
        command = copy(part.registered_commands[0])
        command.name = name
        app.registered_commands.append(command)
    else:
        app.add_typer(part, name=name)
