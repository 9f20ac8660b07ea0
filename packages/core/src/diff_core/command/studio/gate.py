"""Who is let in: everyone who knows the address, or everyone who holds a token.

A browser signs in once and gets a session of its own, a cookie. Programs send the token with each
request. Everyone sees their own files alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from secrets import compare_digest, token_urlsafe
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from diff_core.pages import render

__all__ = ["SHORTEST", "Gate"]

SHORTEST = 16
"""The fewest characters of a token."""

COOKIE = "diff_session"
MOST_SESSIONS = 1000
MOST_BYTES = 4096  # of what is sent to sign in
PAUSE = 1.0  # seconds after a wrong token
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)


class Gate:
    """The middleware that lets requests in, and names their owner in `request.state.owner`.

    token: None lets in everyone, and all have the same files. Requests that change something must
           then come from the page itself, not from another site's
    public: the path that everyone may ask for
    """

    def __init__(
        self, app: ASGIApp, token: str | None, title: str, dark: bool, public: str = "/health"
    ) -> None:
        self._app, self._token = app, token
        self._title, self._theme, self._public = title, "dark" if dark else "auto", public
        self._sessions: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope, receive)
        answer = await self._answer(request)
        if answer is not None:
            return await answer(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """Return an answer for who is not let in, None for who is."""
        changes = request.method not in ("GET", "HEAD")
        if changes and request.headers.get("sec-fetch-site", "none") not in (
            "none",
            "same-origin",
        ):
            return JSONResponse({"fault": "the request comes from another site's page"}, 403)
        request.state.owner = ""
        if self._token is None or request.url.path == self._public:
            return None
        if request.url.path == "/sign-in" and changes:
            return await self._sign_in(request)
        owner = self._owner(request, self._token)
        if owner is not None:
            request.state.owner = owner
            return None
        if request.url.path == "/" and not changes:
            return self._ask("", 200)
        fault = "the token is missing or wrong; send the header Authorization: Bearer TOKEN"
        return JSONResponse({"fault": fault}, 401, {"WWW-Authenticate": "Bearer"})

    def _owner(self, request: Request, token: str) -> str | None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(given.strip(), token):
            return "token"
        session = request.cookies.get(COOKIE, "")
        if session not in self._sessions:
            return None
        self._sessions.move_to_end(session)
        return session

    async def _sign_in(self, request: Request) -> Response:
        """Start a session for the right token."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return self._ask("This is no token.", 413)
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        assert self._token is not None
        if not _equal(given, self._token):
            await asyncio.sleep(PAUSE)
            return self._ask("This is not the token.", 401)
        session = token_urlsafe(24)
        self._sessions[session] = None
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        # relative: a reverse proxy may serve the page below another path
        answer = RedirectResponse(".", 303)
        is_https = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=is_https)
        return answer

    def _ask(self, fault: str, status: int) -> Response:
        html = render(
            "diff_core.command.studio", "sign_in.html", title=self._title, theme=self._theme,
            fault=fault,
        )  # fmt: skip
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return HTMLResponse(html, status, headers)


def _equal(one: str, other: str) -> bool:
    """Return whether both are equal, in a time that does not depend on where they differ."""
    return compare_digest(one.encode(), other.encode())
