"""The functions that executors run, by the futures of their jobs."""

from __future__ import annotations

import functools
import weakref
from typing import Any, Final

from .objects import ask, is_a, put
from .places import name_of

#: On the future that ``run_in_executor()`` returned: the name of the function.
_FUNCTION: Final = "_asyncio_traps_function"
#: On the future of a job of a thread pool: a weak reference to the job, which has the function.
_JOB: Final = "_asyncio_traps_job"


def function_name(function: Any) -> str:
    """The name of a function that runs in a thread. ``to_thread()`` wraps it twice."""
    while is_a(function, functools.partial):
        inner = function.func
        if ask(inner, "__name__") == "run" and function.args:  # Context.run
            inner = function.args[0]
        function = inner
    return name_of(function)


def note_function(future: Any, name: str) -> None:
    """``future`` stands for a job that runs the function ``name``."""
    put(future, _FUNCTION, name)


def note_job(job: Any) -> None:
    """A thread pool has made ``job``. Its future must not keep the function alive."""
    put(ask(job, "future"), _JOB, weakref.ref(job))


def function_of(*futures: Any) -> str:
    """The name of the function that one of ``futures`` stands for; empty if it is not known."""
    for future in futures:
        name = ask(future, _FUNCTION)
        if type(name) is str:
            return name
        ref = ask(future, _JOB)
        job = ref() if type(ref) is weakref.ref else None
        if job is not None:
            task = ask(job, "task")  # from Python 3.14 on, function and arguments
            function = ask(job, "fn", task[0] if type(task) is tuple and task else None)
            if function is not None:
                return function_name(function)
    return ""
