"""The studio's web application: one page, uploads, and the files made of them."""

from __future__ import annotations

import asyncio
import shutil
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
from .tasks import Choices, Full, Task, Tasks

__all__ = ["application"]

DRAINED = 64 << 20  # bytes of a body that is refused
LONGEST_NAME = 150
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


def application(page: Page, tasks: Tasks, key: str, most_bytes: int) -> Starlette:
    """The application below `/{key}/`; all else is not found.

    key:        that only the user's browser knows, so that neither other users of the machine nor
                pages of other sites reach it
    most_bytes: of an upload
    """

    async def show(request: Request) -> Response:
        del request
        nonce = token_urlsafe(16)
        policy = {"Content-Security-Policy": PAGE_POLICY.format(nonce)}
        theme = "dark" if page.dark else "auto"
        html = render(
            "diff_core.command.studio",
            "studio.html",
            title=page.title,
            theme=theme,
            page=page,
            nonce=nonce,
            most_bytes=most_bytes,
        )
        return HTMLResponse(html, headers=PLAIN | policy)

    async def upload(request: Request) -> Response:
        name, choices = _name(request, page), _choices(request, page)
        if int(request.headers.get("content-length", 0)) > most_bytes:
            await _drain(request)
            raise HTTPException(413, _too_large(most_bytes))
        try:
            source = tasks.place(name)
        except Full as fault:
            raise HTTPException(429, str(fault)) from fault
        try:
            size = await _receive(request, source, most_bytes)
            if size == 0:
                raise HTTPException(400, "the file is empty (0 bytes)")
        except BaseException as fault:
            shutil.rmtree(source.parent, ignore_errors=True)
            if isinstance(fault, ClientDisconnect):
                return Response(status_code=400)
            raise
        return JSONResponse(tasks.view(tasks.add(source, choices)), 201, headers=PLAIN)

    async def overview(request: Request) -> Response:
        del request
        return JSONResponse([tasks.view(each) for each in tasks.all()], headers=PLAIN)

    async def task(request: Request) -> Response:
        found = _task(request)
        if request.method == "DELETE":
            tasks.stop(found)
        return JSONResponse(tasks.view(found), headers=PLAIN)

    async def fetch(request: Request) -> Response:
        found, what = _task(request), request.path_params["what"]
        path = found.file("report" if what == "page" else what)
        if path is None:
            raise HTTPException(404, "there is no such file")
        policy = {"Content-Security-Policy": REPORT_POLICY}
        if what == "page":
            return FileResponse(path, media_type="text/html", headers=PLAIN | policy)
        kind = "application/octet-stream"
        return FileResponse(path, media_type=kind, filename=path.name, headers=PLAIN)

    def _task(request: Request) -> Task:
        found = tasks.get(request.path_params["number"])
        if found is None:
            raise HTTPException(404, "this file is no longer here; drop it again")
        return found

    async def tell(request: Request, fault: Exception) -> Response:
        del request
        assert isinstance(fault, HTTPException)
        return JSONResponse({"fault": fault.detail}, fault.status_code, headers=PLAIN)

    routes = [
        Route("/", show),
        Route("/tasks", upload, methods=["POST"]),
        Route("/tasks", overview),
        Route("/tasks/{number:int}", task, methods=["GET", "DELETE"]),
        Route("/tasks/{number:int}/{what}", fetch),
    ]
    return Starlette(
        routes=[Mount(f"/{key}", routes=routes)],
        # a name that a stranger points at 127.0.0.1 is not this page's
        middleware=[Middleware(TrustedHostMiddleware, ["127.0.0.1", "localhost"])],
        exception_handlers={HTTPException: tell},
    )


async def _receive(request: Request, path: Path, most: int) -> int:
    """Writes the body to `path`, and returns its bytes."""
    size = 0
    with path.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise HTTPException(413, _too_large(most))
            await asyncio.to_thread(file.write, chunk)
    return size


async def _drain(request: Request) -> None:
    """Takes in some of a body that is refused: a sender that is cut off sees no answer."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > DRAINED:
            return


def _too_large(most: int) -> str:
    return f"the file is larger than {most >> 20} MiB; start the studio with a larger --largest"


def _name(request: Request, page: Page) -> str:
    """The name of the upload without folders, as a file may be called."""
    given = request.query_params.get("name", "").replace("\\", "/").rpartition("/")[2]
    name = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in given).strip()
    if not name.lower().endswith(page.suffixes) or name.startswith("."):
        kinds = ", ".join(page.suffixes)
        raise HTTPException(415, f"this is not {page.drop}; files end with {kinds}")
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
    return Choices(quality, amount)
