"""A job queue served over TCP: clients submit jobs, workers run them, clients fetch results."""

from __future__ import annotations

from .client import Client, Session
from .server import serving
from .store import Job, JobError, State, Store
from .worker import Pool, Task

__all__ = ["Client", "Job", "JobError", "Pool", "Session", "State", "Store", "Task", "serving"]
