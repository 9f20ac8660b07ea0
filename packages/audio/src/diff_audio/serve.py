"""The command `diff-audio serve`: the page of the studio for a network."""

from __future__ import annotations

import sys

from diff_audio.tools.page import page
from diff_core.command import App, run
from diff_core.command.studio import serve_command

__all__ = ["app", "main"]

COMMAND = "diff_audio.serve"
HELP = """Serve the page of the studio to a network, with a token, a queue and limits.

Everyone who signs in with the token sees their own files alone. Programs send the header
Authorization: Bearer TOKEN. /health answers in JSON without a token. Encryption is the part of a
reverse proxy, which must stand before a server that other machines reach.
"""

app = App()

serve_command(
    app,
    page,
    distribution="diff-audio",
    command=COMMAND,
    help=HELP,
    examples={
        "--port 8000": "Serve this machine, without a token.",
        "--host 0.0.0.0 --token-file token.txt --largest 200": "Serve a network, with a token.",
    },
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
