"""A job queue and the workers that process it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from .store import Job, JobError, State, Store

Task = Callable[[str], Awaitable[str]]


class Pool:
    """Runs jobs in order of submission, at most ``size`` at a time."""

    def __init__(self, tasks: Mapping[str, Task], size: int = 2) -> None:
        self.store = Store()
        self._tasks = tasks
        self._size = size
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self._size):
            self._workers.append(asyncio.create_task(self._work()))

    async def stop(self) -> None:
        """Stop the workers, and wait until they have finished."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def submit(self, task: str, argument: str) -> Job:
        """Add a job to the queue. Raises `JobError` if ``task`` is unknown."""
        if task not in self._tasks:
            raise JobError(f"there is no task {task!r}")
        job = self.store.add(task, argument)
        await self._queue.put(job)
        return job

    async def _work(self) -> None:
        while True:
            job = await self._queue.get()
            try:
                result = await self._tasks[job.task](job.argument)
            except Exception as exc:
                await self.store.finish(job, State.FAILED, str(exc))
            else:
                await self.store.finish(job, State.DONE, result)
