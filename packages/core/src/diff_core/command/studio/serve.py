"""Starting and stopping a studio."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
import webbrowser
from pathlib import Path
from secrets import token_urlsafe

import uvicorn

from .app import application
from .connections import BACKLOG, Guarded, keep_short
from .page import Page
from .tasks import Tasks, Work

__all__ = ["HOST", "serve"]

HOST = "127.0.0.1"
"""The only address that is served: this machine itself."""


def serve(page: Page, work: Work, *, port: int, browser: bool, most_bytes: int, name: str) -> None:
    """Serves until it is interrupted; then its temporary folder is removed.

    port:    0 for any that is free; OSError if it is taken
    browser: whether to open the page
    name:    of the command, for the line with the address
    """
    key = token_urlsafe(16)
    if hasattr(signal, "SIGHUP"):  # the terminal was closed: clean up as for SIGTERM
        signal.signal(signal.SIGHUP, _terminate)
    with (
        socket.socket() as door,
        tempfile.TemporaryDirectory(prefix="diff-studio-", ignore_cleanup_errors=True) as folder,
    ):
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((HOST, port))
        door.listen()
        address = f"http://{HOST}:{door.getsockname()[1]}/{key}/"
        tasks = Tasks(Path(folder), work)
        config = uvicorn.Config(
            application(page, tasks, key, most_bytes), loop="asyncio", http=Guarded, ws="none",
            lifespan="off", log_level="warning", access_log=False, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=2, backlog=BACKLOG,
        )  # fmt: skip
        keep_short()
        print(f"{name}: {address}  (Ctrl-C stops it)", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            uvicorn.Server(config).run(sockets=[door])
        finally:
            tasks.close()


def _terminate(_number: int, _frame: object) -> None:
    signal.raise_signal(signal.SIGTERM)
