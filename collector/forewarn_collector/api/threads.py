"""Threads in which answers are made, so that neither the event loop nor ingestion waits for one."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web

from forewarn_collector.api.envelope import ApiError
from forewarn_collector.promql import (
    Deadline,
    EvalError,
    QueryCanceledError,
    QueryTimeoutError,
)
from forewarn_collector.store.errors import TooManySamplesError

Found = TypeVar("Found")

log = logging.getLogger(__name__)

Pieces = Callable[[Deadline], Iterator[bytes]]
"""Makes the JSON of an answer, piece by piece; called in a thread, as is what it gives."""

_PART = 1 << 19
"""Bytes of JSON that are compressed and sent at once."""
_MIN_COMPRESSED = 1024
_LOOK = 0.25
"""Seconds between two looks whether the client is still there."""
_FASTEST = 1
"""zlib's level: three times as fast as the usual one, for bodies a tenth larger."""
_GZIP = 31
"""zlib's window for the gzip format."""


class AnswerThreads:
    """Answers that take long are made in a few threads and sent as they are made."""

    def __init__(self, name: str, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    def close(self) -> None:
        """Take no further work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(
        self, request: web.Request, pieces: Pieces, allowed: int | None = None
    ) -> web.StreamResponse:
        """The answer that `pieces` makes. Raises ApiError where it fails before its first part.

        `allowed` is how long it may take in ms, the wait for a thread included. Once the client
        has gone away the work ends at its next check.
        """
        deadline = Deadline() if allowed is None else Deadline(time.monotonic() + allowed / 1000)
        compressed = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        parts = _Parts(pieces, deadline, compressed)
        body = await self._run(request, deadline, parts)
        headers = {"Content-Type": "application/json; charset=utf-8", "Vary": "Accept-Encoding"}
        if parts.compressed:
            headers["Content-Encoding"] = "gzip"
        if parts.ended:
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            await response.write(body)
            while not parts.ended:
                await response.write(await self._run(request, deadline, parts))
        except ApiError as error:
            # The status is sent already: only an answer that breaks off says that it failed.
            log.warning("%s: the answer breaks off: %s", request.path, error)
            raise ConnectionResetError(str(error)) from error
        await response.write_eof()
        return response

    async def run(self, work: Callable[..., Found], *arguments: Any) -> Found:
        """What some work gives that is done in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def _run(self, request: web.Request, deadline: Deadline, parts: _Parts) -> bytes:
        future = asyncio.get_running_loop().run_in_executor(self._threads, parts.take)
        try:
            while not (await asyncio.wait({future}, timeout=_LOOK))[0]:
                if request.transport is None:
                    deadline.cancel()
            return future.result()
        except QueryTimeoutError as error:
            raise ApiError("timeout", str(error)) from error
        except QueryCanceledError as error:
            raise ApiError("canceled", str(error)) from error
        except (EvalError, TooManySamplesError) as error:
            raise ApiError("execution", str(error)) from error
        except MemoryError as error:
            raise ApiError("execution", "the query needs more memory than there is") from error
        finally:
            # Where the handler itself is cancelled: at the end of the collector.
            if not future.done():
                deadline.cancel()


class _Parts:
    """Pieces joined to parts of some size, compressed if that is wanted and worth it."""

    def __init__(self, pieces: Pieces, deadline: Deadline, compressed: bool) -> None:
        self._make = pieces
        self._pieces: Iterator[bytes] | None = None
        self._deadline = deadline
        self._packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP) if compressed else None
        self.ended = False

    @property
    def compressed(self) -> bool:
        """Whether what `take` gave is compressed."""
        return self._packer is not None

    def take(self) -> bytes:
        """The next part; `ended` tells whether it was the last."""
        first = self._pieces is None
        if self._pieces is None:
            self._deadline.check("query execution")
            self._pieces = self._make(self._deadline)
        body = self._gathered(self._pieces)
        if first and self.ended and len(body) < _MIN_COMPRESSED:
            self._packer = None
        if self._packer is None:
            return body
        packed = self._packer.compress(body)
        return packed + self._packer.flush() if self.ended else packed

    def _gathered(self, pieces: Iterator[bytes]) -> bytes:
        gathered: list[bytes] = []
        size = 0
        for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size >= _PART:
                return b"".join(gathered)
        self.ended = True
        return b"".join(gathered)
