"""The command `diff-audio studio`: a page to work on sound by hand and compare by ear."""

from __future__ import annotations

import sys

from diff_audio.tools.page import page
from diff_core.command import App, run
from diff_core.command.studio import studio_command

__all__ = ["app", "main"]

COMMAND = "diff_audio.studio"
HELP = """Open a page to denoise recordings and speak texts, hear the results, and download them.

The page is served to this machine only and loads nothing from a network. Uploads lie in a
temporary folder that goes when the studio stops. A result is the file that the command of the
same name writes.
"""

app = App()

studio_command(
    app,
    page,
    distribution="diff-audio",
    command=COMMAND,
    help=HELP,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
