"""The server side of a connection. Requests and replies are JSON objects, one per line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from .store import JobError
from .worker import Pool, Task


@asynccontextmanager
async def serving(
    tasks: Mapping[str, Task], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[str, int]]:
    """Serve a pool that runs ``tasks``. Yields the host and the port."""
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(_serve(pool, reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    async with Pool(tasks) as pool:
        server = await asyncio.start_server(connected, host, port)
        try:
            yield server.sockets[0].getsockname()[:2]
        finally:
            server.close()
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            await server.wait_closed()


async def _serve(pool: Pool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ValueError):  # disconnected, or the line is too long
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(pool, line)).encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()


async def _answer(pool: Pool, line: bytes) -> dict[str, Any]:
    try:
        match json.loads(line):
            case {"submit": str(task), "argument": str(argument)}:
                job = await pool.submit(task, argument)
                return {"number": job.number}
            case {"result": int(number)}:
                job = await pool.store.finished(number)
                return {"state": job.state, "result": job.result}
            case _:
                return {"error": "this is no request"}
    except (JobError, ValueError) as exc:
        return {"error": str(exc)}
