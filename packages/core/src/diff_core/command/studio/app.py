"""The studio's web application: one page, uploads, and the files made of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from diff_core.pages import render

from .gate import Gate
from .limits import Limits
from .page import Page, Tool
from .tasks import Choices, Full, Task, Tasks

__all__ = ["application"]

DRAINED = 64 << 20  # bytes of a body that is refused
LONGEST_NAME = 150
PATIENCE = 60  # seconds without a byte of an upload
PLAIN = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The page speaks with this server only; a report, shown inside it, with nobody.
PAGE_POLICY = (
    "default-src 'none'; script-src 'nonce-{}'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class _Site:
    """The answers to a browser's requests."""

    page: Page
    tasks: Tasks
    software: str

    async def show(self, request: Request) -> Response:
        """Return the page."""
        del request
        nonce = token_urlsafe(16)
        policy = {"Content-Security-Policy": PAGE_POLICY.format(nonce)}
        limits = self.tasks.limits
        facts = {
            "tools": {tool.name: _facts(tool) for tool in self.page.tools},
            "most": limits.bytes,
            "too_large": limits.too_large,
            "waiting": limits.waiting,
        }
        html = render(
            "diff_core.command.studio",
            "studio.html",
            title=self.page.title,
            theme="dark" if self.page.dark else "auto",
            page=self.page,
            nonce=nonce,
            facts=facts,
        )
        return HTMLResponse(html, headers=PLAIN | policy)

    async def health(self, request: Request) -> Response:
        """Return whether files are taken, and how many are here."""
        del request
        state, limits = self.tasks.state(), self.tasks.limits
        is_full = state["waiting"] + state["working"] >= limits.waiting
        facts = {
            "status": "full" if is_full else "ok",
            "software": self.software,
            "tools": [tool.name for tool in self.page.tools],
            "queue": limits.waiting,
            **state,
        }
        return JSONResponse(facts, headers=PLAIN)

    async def upload(self, request: Request) -> Response:
        """Take an upload in and queue it."""
        tool, limits = _tool(request, self.page), self.tasks.limits
        name, choices = _name(request, tool), _choices(request, tool)
        if int(request.headers.get("content-length", 0)) > limits.bytes:
            await _drain(request)
            raise HTTPException(413, limits.too_large)
        try:
            source = self.tasks.place(name)
        except Full as fault:
            await _drain(request)
            raise HTTPException(429, str(fault)) from fault
        try:
            await _receive(request, source, limits)
            tool.check(source)
            title = tool.title(source)
        except BaseException as fault:
            self.tasks.give_back(source)
            if isinstance(fault, ClientDisconnect):
                return Response(status_code=400)
            if isinstance(fault, ValueError):
                raise HTTPException(400, str(fault)) from fault
            raise
        task = self.tasks.add(source, choices, owner=request.state.owner, title=title)
        return JSONResponse(self.tasks.view(task), 201, headers=PLAIN)

    async def overview(self, request: Request) -> Response:
        """Return all tasks of who asks."""
        tasks = self.tasks.all(request.state.owner)
        return JSONResponse([self.tasks.view(each) for each in tasks], headers=PLAIN)

    async def task(self, request: Request) -> Response:
        """Return a task; stop it where the method is DELETE."""
        found = self._task(request)
        if request.method == "DELETE":
            self.tasks.stop(found)
        return JSONResponse(self.tasks.view(found), headers=PLAIN)

    async def fetch(self, request: Request) -> Response:
        """Return a file of a task."""
        found, what = self._task(request), request.path_params["what"]
        path = found.file("report" if what == "page" else what)
        if path is None:
            raise HTTPException(404, "there is no such file")
        policy = {"Content-Security-Policy": REPORT_POLICY}
        if what == "page":
            return FileResponse(path, media_type="text/html", headers=PLAIN | policy)
        kind = "application/octet-stream"
        return FileResponse(path, media_type=kind, filename=path.name, headers=PLAIN)

    def _task(self, request: Request) -> Task:
        found = self.tasks.get(request.path_params["number"], request.state.owner)
        if found is None:
            raise HTTPException(404, "this file is no longer here; drop it again")
        return found


async def _tell(request: Request, fault: Exception) -> Response:
    del request
    assert isinstance(fault, HTTPException)
    return JSONResponse({"fault": fault.detail}, fault.status_code, headers=PLAIN)


def application(
    page: Page, tasks: Tasks, *, key: str = "", token: str | None = None, software: str = ""
) -> Starlette:
    """Return the application below `/{key}/`, or at the root without a key; all else is not found.

    key:      that only the user's browser knows, so that neither other users of the machine nor
              pages of other sites reach it
    token:    that everyone must show, see `Gate`; None for none
    software: its name and version, for /health
    """
    site = _Site(page, tasks, software)
    routes = [
        Route("/", site.show),
        Route("/health", site.health),
        Route("/tasks", site.upload, methods=["POST"]),
        Route("/tasks", site.overview),
        Route("/tasks/{number:int}", site.task, methods=["GET", "DELETE"]),
        Route("/tasks/{number:int}/{what}", site.fetch),
    ]
    # a name that a stranger points at 127.0.0.1 is not this page's; a token keeps strangers out
    local = [] if token else [Middleware(TrustedHostMiddleware, ["127.0.0.1", "localhost"])]
    gate = Middleware(Gate, token=token, title=page.title, dark=page.dark)
    return Starlette(
        routes=[Mount(f"/{key}", routes=routes)] if key else routes,
        middleware=[*local, gate],
        exception_handlers={HTTPException: _tell},
    )


async def _receive(request: Request, path: Path, limits: Limits) -> None:
    """Write the body to `path`."""
    size = 0
    with path.open("xb") as file:
        async for chunk in _chunks(request):
            size += len(chunk)
            if size > limits.bytes:
                raise HTTPException(413, limits.too_large)
            await asyncio.to_thread(file.write, chunk)


async def _chunks(request: Request) -> AsyncGenerator[bytes]:
    """Yield the body; HTTPException where nothing comes for a while."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as fault:
            raise HTTPException(408, f"nothing came for {PATIENCE} seconds; try again") from fault
        yield chunk


async def _drain(request: Request) -> None:
    """Take in some of a body that is refused: a sender that is cut off sees no answer."""
    size = 0
    async for chunk in _chunks(request):
        size += len(chunk)
        if size > DRAINED:
            return


def _facts(tool: Tool) -> dict[str, object]:
    """Return the facts about a tool that the script of the page needs."""
    return {
        "takes": tool.takes, "drop": tool.drop, "suffixes": tool.suffixes,
        "unread": dict(tool.unread),
    }  # fmt: skip


def _tool(request: Request, page: Page) -> Tool:
    try:
        return page.find(request.query_params.get("tool", ""))
    except ValueError as fault:
        raise HTTPException(400, str(fault)) from fault


def _name(request: Request, tool: Tool) -> str:
    """Return the name of the upload, as a file may be called."""
    try:
        name = tool.file_name(request.query_params.get("name", ""))
    except ValueError as fault:
        raise HTTPException(415, str(fault)) from fault
    if len(name.encode()) > LONGEST_NAME:
        raise HTTPException(400, f"the name is longer than {LONGEST_NAME} bytes; shorten it")
    return name


def _choices(request: Request, tool: Tool) -> Choices:
    given = request.query_params
    quality = given.get("quality", "default")
    if tool.qualities and quality not in tool.qualities:
        names = ", ".join(tool.qualities)
        raise HTTPException(400, f"quality is {quality!r}; expected one of {names}")
    try:
        amount = float(given.get("amount", "1"))
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 1:
        raise HTTPException(400, f"amount is {given.get('amount')!r}; expected a number, 0 to 1")
    try:
        further = {f.name: f.read(given.get(f.name, "")) for f in tool.fields}
    except ValueError as fault:
        raise HTTPException(400, str(fault)) from fault
    shown = (f.show(further[f.name]) for f in tool.fields if further[f.name] != f.read(""))
    return Choices(
        quality if tool.qualities else "", amount if tool.amount else 1.0, further, tuple(shown),
        tool.name,
    )  # fmt: skip
