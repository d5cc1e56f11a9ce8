"""Jobs and their states."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum


class JobError(Exception):
    """A job has failed, or there is no such job or task."""


class State(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Job:
    """A call of a task. If the job has failed, ``result`` is the text of the error."""

    number: int
    task: str
    argument: str
    state: State = State.QUEUED
    result: str = ""


class Store:
    """All jobs, by number."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._changed = asyncio.Condition()

    def add(self, task: str, argument: str) -> Job:
        """Create a job with the next number."""
        number = len(self._jobs) + 1
        job = self._jobs[number] = Job(number, task, argument)
        return job

    async def finish(self, job: Job, state: State, result: str) -> None:
        """Set the result of ``job``, and wake the tasks that wait for it."""
        async with self._changed:
            job.state, job.result = state, result
            self._changed.notify_all()

    async def finished(self, number: int) -> Job:
        """Wait until job ``number`` has finished. Raises `JobError` if there is no such job."""
        job = self._jobs.get(number)
        if job is None:
            raise JobError(f"there is no job {number}")
        async with self._changed:
            await self._changed.wait_for(lambda: job.state is not State.QUEUED)
        return job
