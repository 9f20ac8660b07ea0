"""Connections that cannot hold up the studio: whoever reaches its port may open any number."""

from __future__ import annotations

import asyncio
import logging

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["BACKLOG", "Guarded", "keep_short"]

MOST = 64
"""Connections at a time; beyond them the one that has waited longest for a request is closed."""
BACKLOG = 32
"""Connections that are taken in one go, and so may be beyond `MOST` for a moment."""
PATIENCE = 10.0
"""Seconds until the head of a request must be complete."""
MOST_LINES = 100


class Guarded(H11Protocol):
    """HTTP/1.1 whose clients must send the head of a request in time."""

    _since = 0.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST:
            idle = [one for one in self.connections if isinstance(one, Guarded) and one.is_waiting]
            min(idle, key=Guarded.waiting_since).transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.is_waiting:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def waiting_since(self) -> float:
        """The time at which the head of a request was last asked for."""
        return self._since

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered."""
        return not self.cycle or self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._since = self.loop.time()
        self._deadline = self.loop.call_later(PATIENCE, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Once(logging.Filter):
    """The first of equal messages, and no more of any after `MOST_LINES`."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in self._seen or len(self._seen) >= MOST_LINES:
            return False
        self._seen.add(str(record.msg))
        return True


def keep_short() -> None:
    """Let the log of the server not grow with what strangers send."""
    once = _Once()
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(once)
