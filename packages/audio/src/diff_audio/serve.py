"""The command `diff-audio serve`: the page of the studio for a network."""

from __future__ import annotations

import sys

from diff_audio.tools.page import page
from diff_core.command import App, run
from diff_core.command.studio import serve_command

__all__ = ["app", "main"]

COMMAND = "diff_audio.serve"
app = App()

serve_command(
    app,
    page,
    distribution="diff-audio",
    command=COMMAND,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
