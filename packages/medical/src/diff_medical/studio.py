"""The command `diff-medical studio`: a page to work on scans by hand and compare planes."""

from __future__ import annotations

import sys

from diff_core.command import App, run
from diff_core.command.studio import studio_command
from diff_medical.tools.page import page

__all__ = ["app", "main"]

COMMAND = "diff_medical.studio"
HELP = """Open a page to enhance scans and generate synthetic ones, see and download the results.

The page is served to this machine only and loads nothing from a network. Uploads lie in a
temporary folder that goes when the studio stops. A result is the file that the command of the
same name writes; of a zipped DICOM series its folder, zipped. For research; not a medical device.
"""

app = App()

studio_command(
    app,
    page,
    distribution="diff-medical",
    command=COMMAND,
    help=HELP,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
