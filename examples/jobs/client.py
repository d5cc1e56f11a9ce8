"""The client side of a connection."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any, Self

from .store import JobError, State


class Session:
    """Opens connections to a server, one for each request. To be closed by a coroutine."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._closed = False

    async def run(self, task: str, argument: str) -> str:
        """Add a job to the queue, and wait for its result."""
        async with await Client.connect(*self._address) as client:
            return await client.result(await client.submit(task, argument))

    async def close(self) -> None:
        """End the session."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn("a session was not closed", ResourceWarning, stacklevel=1, source=self)


class Client:
    """A connection to a server. It sends one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def connect(cls, host: str, port: int) -> Self:
        """Open a connection. Call `close` when done, or use ``async with``."""
        reader, writer = await asyncio.open_connection(host, port)
        return cls(reader, writer)

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def submit(self, task: str, argument: str) -> int:
        """Add a job to the queue, and return its number."""
        answer = await self._ask({"submit": task, "argument": argument})
        return int(answer["number"])

    async def result(self, number: int) -> str:
        """Wait for the result of a job. Raises `JobError` if the job failed."""
        answer = await self._ask({"result": number})
        if answer["state"] == State.FAILED:
            raise JobError(answer["result"])
        return str(answer["result"])

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        async with self._lock:
            self._writer.write(json.dumps(request).encode() + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("the server closed the connection")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise JobError(answer["error"])
        return answer
