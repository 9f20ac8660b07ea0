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

from .page import Page
from .tasks import MOST_WAITING, Choices, Full, Task, Tasks

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
    most_bytes: int

    async def show(self, request: Request) -> Response:
        """Return the page."""
        del request
        nonce = token_urlsafe(16)
        policy = {"Content-Security-Policy": PAGE_POLICY.format(nonce)}
        theme = "dark" if self.page.dark else "auto"
        html = render(
            "diff_core.command.studio",
            "studio.html",
            title=self.page.title,
            theme=theme,
            page=self.page,
            nonce=nonce,
            most_bytes=self.most_bytes,
            most_waiting=MOST_WAITING,
        )
        return HTMLResponse(html, headers=PLAIN | policy)

    async def upload(self, request: Request) -> Response:
        """Take a file in and queue it."""
        name, choices = _name(request, self.page), _choices(request, self.page)
        if int(request.headers.get("content-length", 0)) > self.most_bytes:
            await _drain(request)
            raise HTTPException(413, _too_large(self.most_bytes))
        try:
            source = self.tasks.place(name)
        except Full as fault:
            await _drain(request)
            raise HTTPException(429, str(fault)) from fault
        try:
            size = await _receive(request, source, self.most_bytes)
            if size == 0:
                raise HTTPException(400, "the file is empty (0 bytes)")
        except BaseException as fault:
            self.tasks.give_back(source)
            if isinstance(fault, ClientDisconnect):
                return Response(status_code=400)
            raise
        return JSONResponse(self.tasks.view(self.tasks.add(source, choices)), 201, headers=PLAIN)

    async def overview(self, request: Request) -> Response:
        """Return all tasks."""
        del request
        return JSONResponse([self.tasks.view(each) for each in self.tasks.all()], headers=PLAIN)

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
        found = self.tasks.get(request.path_params["number"])
        if found is None:
            raise HTTPException(404, "this file is no longer here; drop it again")
        return found


async def _tell(request: Request, fault: Exception) -> Response:
    del request
    assert isinstance(fault, HTTPException)
    return JSONResponse({"fault": fault.detail}, fault.status_code, headers=PLAIN)


def application(page: Page, tasks: Tasks, key: str, most_bytes: int) -> Starlette:
    """The application below `/{key}/`; all else is not found.

    key:        that only the user's browser knows, so that neither other users of the machine nor
                pages of other sites reach it
    most_bytes: of an upload
    """
    site = _Site(page, tasks, most_bytes)
    routes = [
        Route("/", site.show),
        Route("/tasks", site.upload, methods=["POST"]),
        Route("/tasks", site.overview),
        Route("/tasks/{number:int}", site.task, methods=["GET", "DELETE"]),
        Route("/tasks/{number:int}/{what}", site.fetch),
    ]
    return Starlette(
        routes=[Mount(f"/{key}", routes=routes)],
        # a name that a stranger points at 127.0.0.1 is not this page's
        middleware=[Middleware(TrustedHostMiddleware, ["127.0.0.1", "localhost"])],
        exception_handlers={HTTPException: _tell},
    )


async def _receive(request: Request, path: Path, most: int) -> int:
    """Write the body to `path`, and return the number of its bytes."""
    size = 0
    with path.open("xb") as file:
        async for chunk in _chunks(request):
            size += len(chunk)
            if size > most:
                raise HTTPException(413, _too_large(most))
            await asyncio.to_thread(file.write, chunk)
    return size


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


def _too_large(most: int) -> str:
    return f"the file is larger than {most >> 20} MiB; start the studio with a larger --largest"


def _name(request: Request, page: Page) -> str:
    """The name of the upload without folders, as a file may be called."""
    given = request.query_params.get("name", "").replace("\\", "/").rpartition("/")[2]
    name = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in given).strip()
    if reason := page.refusal(name):
        raise HTTPException(415, reason)
    if len(name.encode()) > LONGEST_NAME:
        raise HTTPException(400, f"the name is longer than {LONGEST_NAME} bytes; shorten it")
    return name


def _choices(request: Request, page: Page) -> Choices:
    quality = request.query_params.get("quality", "default")
    if quality not in page.qualities:
        names = ", ".join(page.qualities)
        raise HTTPException(400, f"quality is {quality!r}; expected one of {names}")
    given = request.query_params.get("amount", "1")
    try:
        amount = float(given)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 1:
        raise HTTPException(400, f"amount is {given!r}; expected a number, 0 to 1")
    try:
        further = {f.name: f.read(request.query_params.get(f.name, "")) for f in page.fields}
    except ValueError as fault:
        raise HTTPException(400, str(fault)) from fault
    shown = (f.show(further[f.name]) for f in page.fields if further[f.name] != f.read(""))
    return Choices(quality, amount, further, tuple(shown))
