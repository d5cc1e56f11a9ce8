"""The user's line out of a stack."""

from __future__ import annotations

import asyncio
import collections
import os
import sys
import types

import pytest
from _pytest import python as pytest_python

from pytest_asyncio_traps.core import paths, places, stacks


def site_package(*parts: str) -> str:
    return os.path.join(os.path.dirname(os.path.dirname(pytest.__file__)), *parts)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (__file__, paths.USER),
        ("/somewhere/src/app.py", paths.USER),
        ("<string>", paths.STDLIB),
        (collections.__file__, paths.STDLIB),
        (asyncio.__file__, paths.ASYNCIO),
        (pytest_python.__file__, paths.HARNESS),
        (stacks.__file__, paths.HARNESS),
        (site_package("pluggy", "_callers.py"), paths.BOUNDARY),
        (site_package("pytest_asyncio", "plugin.py"), paths.HARNESS),
        (site_package("somelib", "core.py"), paths.LIBRARY),
        ("/elsewhere/.venv/lib/site-packages/somelib.py", paths.LIBRARY),
        (os.path.join(os.path.dirname(collections.__file__), "..", "test", "x.py"), paths.USER),
    ],
)
def test_whose_code_a_file_holds(path: str, kind: int) -> None:
    assert stacks.classify(path) == kind


def call_from(path: str, function: types.FunctionType) -> object:
    """What ``function`` returns when code of the file ``path`` calls it."""
    namespace: dict[str, object] = {"function": function}
    exec(compile("def inner():\n    return function()\n", path, "exec"), namespace)
    return namespace["inner"]()  # type: ignore[operator]


def marked() -> stacks.Mark | None:
    return stacks.user_mark(sys._getframe(1))


def test_a_library_between_is_passed_over() -> None:
    """The mark is the user's line that called the library."""
    mark = call_from(site_package("somelib.py"), marked)  # type: ignore[arg-type]

    place = places.place_of(mark)  # type: ignore[arg-type]
    assert place is not None
    assert (place.path, place.function) == (__file__, "call_from")


def test_without_a_user_the_library_counts() -> None:
    frame = types.SimpleNamespace(
        f_code=compile("0", site_package("somelib.py"), "exec"), f_lasti=0, f_back=None
    )

    place = places.place_of(stacks.user_mark(frame))  # type: ignore[arg-type]
    assert place is not None
    assert place.path == site_package("somelib.py")


def test_the_line_of_an_instruction() -> None:
    """A mark keeps no line number, and finds it again."""

    def lines() -> list[stacks.Mark]:
        marks = []
        for _ in range(2):
            frame = sys._getframe()
            marks.append((frame.f_code, frame.f_lasti))
        return marks

    (code, offset), _ = lines()
    assert places.line_of(code, offset) == lines.__code__.co_firstlineno + 4
    assert places.line_of(code, 10**6) == code.co_firstlineno


def test_where_a_coroutine_waits() -> None:
    async def inner() -> None:
        await asyncio.sleep(1)

    async def outer() -> None:
        await inner()

    coroutine = outer()
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    place = places.waits_at(coroutine)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()

    assert place is not None
    assert place.function == "inner"
    assert place.line == inner.__code__.co_firstlineno + 1


def test_where_an_exception_was_raised() -> None:
    def fail() -> None:
        int("x")

    with pytest.raises(ValueError, match="x") as caught:
        fail()

    place = places.raised_at(caught.value.__traceback__)
    assert place is not None
    assert place.function == "fail"
    assert places.raised_at(None) is None


def test_names_of_what_is_no_python_coroutine() -> None:
    """Cython's coroutines may have no qualified name."""
    assert places.name_of(types.SimpleNamespace(__qualname__=None, __name__="it")) == "it"
    assert places.name_of(3) == "int"
