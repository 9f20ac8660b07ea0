"""Starting and stopping a page."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from secrets import token_urlsafe

import uvicorn
from starlette.applications import Starlette

from .app import application
from .connections import BACKLOG, Guarded, keep_short
from .limits import Limits
from .page import Page
from .tasks import Tasks, Work

__all__ = ["HOST", "is_local", "serve", "serve_network"]

HOST = "127.0.0.1"
"""The address of this machine that no other machine reaches."""


def is_local(host: str) -> bool:
    """Return whether no other machine reaches an address or a name of this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def serve(page: Page, work: Work, *, port: int, browser: bool, limits: Limits, name: str) -> None:
    """Serve a page to this machine, below a path drawn at random, until it is interrupted; then
    its temporary folder is removed.

    port:    0 for any that is free; OSError if it is taken
    browser: whether to open the page
    name:    of the command, for the line with the address
    """
    key = token_urlsafe(16)
    with _door(HOST, port) as door, _tasks(work, limits) as tasks:
        address = f"{_address(door)}{key}/"
        print(f"{name}: {address}  (Ctrl-C stops it)", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        _run(application(page, tasks, key=key, software=name), door)


def serve_network(
    page: Page, work: Work, *, host: str, port: int, token: str | None, limits: Limits, name: str
) -> None:
    """Serve a page to a network until it is interrupted; then its temporary folder is removed.

    host:  an address of this machine; ValueError for one that other machines reach without `token`
    port:  0 for any that is free; OSError if it is taken
    token: that everyone must show, see `Gate`; None for none
    name:  of the program with its version, for the line with the address and /health
    """
    if token is None and not is_local(host):
        raise ValueError(f"host is {host}, which other machines reach; expected a token with it")
    with _door(host, port) as door, _tasks(work, limits) as tasks:
        who = "who has the token" if token else "every user of this machine"
        print(f"{name}: {_address(door)}  (for {who}; Ctrl-C stops it)", flush=True)
        _run(application(page, tasks, token=token, software=name), door)


@contextmanager
def _door(host: str, port: int) -> Generator[socket.socket]:
    """Give a socket that listens."""
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
        door.listen()
        yield door


def _address(door: socket.socket) -> str:
    host, port = door.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


@contextmanager
def _tasks(work: Work, limits: Limits) -> Generator[Tasks]:
    """Give the queue, in a temporary folder."""
    if hasattr(signal, "SIGHUP"):  # the terminal was closed: clean up as for SIGTERM
        signal.signal(signal.SIGHUP, _terminate)
    with tempfile.TemporaryDirectory(prefix="diff-studio-", ignore_cleanup_errors=True) as folder:
        tasks = Tasks(Path(folder), work, limits)
        try:
            yield tasks
        finally:
            tasks.close()


def _run(site: Starlette, door: socket.socket) -> None:
    config = uvicorn.Config(
        site, loop="asyncio", http=Guarded, ws="none", lifespan="off", log_level="warning",
        access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=2,
        backlog=BACKLOG,
    )  # fmt: skip
    keep_short()
    uvicorn.Server(config).run(sockets=[door])


def _terminate(_number: int, _frame: object) -> None:
    signal.raise_signal(signal.SIGTERM)
