"""The command `diff-medical serve`: the page of the studio for a network."""

from __future__ import annotations

import sys

from diff_core.command import App, run
from diff_core.command.studio import serve_command
from diff_medical.tools.page import page

__all__ = ["app", "main"]

COMMAND = "diff_medical.serve"
app = App()

serve_command(
    app,
    page,
    distribution="diff-medical",
    command=COMMAND,
    note="For research; not a medical device.",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
