"""A suite that never used pytest-asyncio has the outcomes that it had before the installation.

The plugin brings pytest-asyncio along. What that changes by its presence is taken back here, or
has a test that says so.
"""

from __future__ import annotations

import importlib.metadata
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from itertools import product

import pytest

from ..cases import cases
from ..run import Suite

#: Forms of a filter, each with whether it makes an error of pytest-asyncio's warning.
FILTERS = {
    "error": True,
    "error::DeprecationWarning": True,
    "error::pytest.PytestDeprecationWarning": True,
    "error::pytest.PytestWarning": True,
    "error:The configuration option": True,
    "error:::pytest_asyncio.plugin": True,
    "error::RuntimeWarning": False,
    "error:something else": False,
    "default": False,
    "once": False,
    "ignore": False,
}  #: ... and those that are tried wherever a filter can stand.
BRIEFLY = ("error", "error:The configuration option", "error::RuntimeWarning", "ignore")

#: pytest applies its own filters while plugins are configured since then; Python always did.
AT_CONFIGURE = tuple(map(int, pytest.__version__.split(".")[:2])) >= (9, 2)

SUITE = """
import unittest, warnings
import pytest

class TestIsolated(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.value = 1
    async def test_value(self):
        assert self.value == 1

def test_plain():
    pass

def test_filters():
    "The filters of the suite are in force, and none of the plugin's."
    texts = [str(item[1] and item[1].pattern) for item in warnings.filters
             if hasattr(item[1], "pattern")]
    assert not any("asyncio_default_fixture_loop_scope" in text for text in texts)
"""


@pytest.fixture
def unset(suite: Suite) -> Suite:
    """A suite whose ini file knows nothing of pytest-asyncio."""
    suite.pytester.makeini("[pytest]\n")
    suite.write(test_it=SUITE)
    return suite


def says(run: pytest.RunResult) -> bool:
    """Whether pytest-asyncio's warning is shown, in the summary or on stderr."""
    text = run.stdout.str() + run.stderr.str()
    return 'option "asyncio_default_fixture_loop_scope" is unset' in text


@pytest.mark.parametrize(
    ("where", "filter_"),
    cases(
        [
            *(("ini", filter_) for filter_ in FILTERS),
            *product(("toml", "-W", "PYTHONWARNINGS"), BRIEFLY),
        ],
        quick=[*product(["ini"], BRIEFLY), *product(["toml", "-W", "PYTHONWARNINGS"], ["error"])],
        unpack=True,
    ),
)
def test_under_a_filter(
    unset: Suite, monkeypatch: pytest.MonkeyPatch, where: str, filter_: str
) -> None:
    """The warning that would end the run is shown; where it is only shown, it still is."""
    args: tuple[str, ...] = ()
    if where == "ini":
        unset.pytester.makeini(f"[pytest]\nfilterwarnings = {filter_}\n")
    elif where == "toml":
        unset.pytester.path.joinpath("tox.ini").unlink(missing_ok=True)
        unset.pytester.makepyprojecttoml(
            f"[tool.pytest.ini_options]\nfilterwarnings = ['{filter_}']"
        )
    elif where == "-W":
        args = ("-W", filter_)
    else:
        monkeypatch.setenv("PYTHONWARNINGS", filter_)

    outcome = unset.run(*args)

    outcome.clean()
    outcome.result.assert_outcomes(passed=3)
    without = unset.run(*args, plugins=("asyncio",)).result
    if FILTERS[filter_] and (AT_CONFIGURE or where == "PYTHONWARNINGS"):
        assert without.ret != 0
        assert says(outcome.result)
    else:
        assert without.ret == 0
        assert says(outcome.result) is says(without)


def test_the_option_is_set(suite: Suite) -> None:
    """Then pytest-asyncio says nothing, and there is nothing to take back."""
    suite.write(test_it=SUITE)

    outcome = suite.run("-W", "error")

    outcome.clean()
    assert not says(outcome.result)


def test_other_filters_stay(unset: Suite) -> None:
    """What another plugin sets while it is configured is left alone."""
    unset.pytester.makeconftest(
        """
        import warnings

        def pytest_configure(config):
            warnings.filterwarnings("error", message="theirs")
            config.theirs = warnings.filters[0]
            config.count = len(warnings.filters)

        def pytest_collection_modifyitems(config):
            assert config.theirs in warnings.filters
            assert len(warnings.filters) <= config.count
        """
    )

    outcome = unset.run("-W", "error", "-p", "no:warnings")

    outcome.clean()


def test_without_pytest_asyncio(unset: Suite) -> None:
    outcome = unset.run("-W", "error", "-p", "no:asyncio", plugins=("asyncio_traps",))

    outcome.clean()
    outcome.result.assert_outcomes(passed=3)


#: Suites of other runners: the plugins that they name, and their tests.
OTHERS = {
    "anyio": (
        ("anyio",),
        """
        import anyio, asyncio, pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        async def resource(anyio_backend):
            await anyio.sleep(0)
            yield asyncio.get_running_loop()
            await anyio.sleep(0)

        @pytest.mark.anyio
        async def test_fixture(resource):
            assert resource is asyncio.get_running_loop()

        @pytest.mark.anyio
        class TestClass:
            async def test_method(self, resource):
                await anyio.sleep(0)

        @pytest.mark.anyio
        @pytest.mark.parametrize("number", [1, 2])
        async def test_failing(number):
            assert number == 1
        """,
    ),
    "aiohttp": (
        ("aiohttp.pytest_plugin",),
        """
        import asyncio, pytest
        from aiohttp import web

        async def hello(request):
            return web.Response(text="hello")

        @pytest.fixture
        async def client(aiohttp_client):
            app = web.Application()
            app.router.add_get("/", hello)
            return await aiohttp_client(app)

        async def test_client(client):
            response = await client.get("/")
            assert await response.text() == "hello"

        async def test_unmarked():
            await asyncio.sleep(0)

        async def test_failing():
            assert False
        """,
    ),
    "tornasync": (
        ("tornado",),
        """
        import asyncio

        async def test_unmarked():
            await asyncio.sleep(0)

        async def test_failing():
            assert False

        def test_plain(io_loop):
            pass
        """,
    ),
    "none": (
        (),
        """
        import asyncio, pytest

        @pytest.fixture
        def unused_tcp_port():
            return "the suite's own"

        def test_own_fixture(unused_tcp_port):
            assert unused_tcp_port == "the suite's own"

        def test_run():
            asyncio.run(asyncio.sleep(0))

        async def test_unmarked():
            pass

        @pytest.fixture
        async def value():
            return 1

        def test_async_fixture(value):
            assert asyncio.run(value) == 1
        """,
    ),
}
#: Not "asyncio": of a plugin with the name of a module that is imported, pytest warns.
PLUGIN = "pytest_asyncio.plugin"
NEEDS = {"anyio": "anyio", "aiohttp": "aiohttp", "tornasync": "pytest_tornasync"}


def outcomes(suite: Suite, *args: str, plugins: tuple[str, ...]) -> dict[str, list[str]]:
    """What JUnit has to say of each test."""
    path = suite.pytester.path / "junit.xml"
    path.unlink(missing_ok=True)
    run = suite.run(f"--junitxml={path}", *args, plugins=plugins)
    run.no_fault()
    assert path.exists(), run.result.stdout.str() + run.result.stderr.str()
    return {
        f"{case.get('classname')}.{case.get('name')}": sorted(child.tag for child in case)
        for case in ElementTree.parse(path).iter("testcase")
    }


@pytest.mark.parametrize("filters", cases(["", "-W error"], [""]))
@pytest.mark.parametrize("name", OTHERS)
def test_other_runners(suite: Suite, name: str, filters: str) -> None:
    """Async tests and fixtures are run by whoever ran them before."""
    if find_spec(NEEDS.get(name, "pytest")) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    if name == "tornasync" and filters:
        pytest.skip("pytest-tornasync itself warns")
    plugins, text = OTHERS[name]
    suite.pytester.makeini("[pytest]\n")
    suite.write(test_it=text)

    before = outcomes(suite, *filters.split(), plugins=plugins)
    after = outcomes(suite, *filters.split(), plugins=(*plugins, PLUGIN, "asyncio_traps"))

    assert after == before
    assert any(before.values()), "there is a test that fails, or is skipped"


def test_what_pytest_asyncio_runs_all_the_same(suite: Suite) -> None:
    """Tests that are marked for pytest-asyncio are run by it, once it is installed."""
    suite.pytester.makeini("[pytest]\nmarkers = asyncio: for a runner of the suite's own\n")
    suite.write(
        test_it="""
        import pytest

        @pytest.mark.asyncio
        async def test_marked():
            pass
        """
    )

    before = outcomes(suite, plugins=())
    after = outcomes(suite, plugins=("asyncio", "asyncio_traps"))

    assert before != after == {"test_it.test_marked": []}


def test_the_versions_that_are_tried() -> None:
    """The warning is known by its text; a version that words it anew is to be looked at."""
    import pytest_asyncio.plugin as theirs

    version = importlib.metadata.version("pytest-asyncio")
    text = getattr(theirs, "_DEFAULT_FIXTURE_LOOP_SCOPE_UNSET", None)
    assert text is not None, version
    assert text.startswith(
        'The configuration option "asyncio_default_fixture_loop_scope" is unset.'
    )
