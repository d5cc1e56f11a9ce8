"""Command line and ini, read once into `Settings`."""

# Not `from __future__ import annotations`: each field of a named tuple would be compiled.
import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest

from .core.trap import Trap
from .policy.rules import (
    FAIL,
    WARN,
    BadRuleError,
    Rule,
    one_message,
    parse_hang,
    parse_rule,
    parse_threshold,
)
from .reports.formats import FORMATS, missing
from .traps.deadlock import DEFAULT as STILL_AFTER
from .traps.slow_callback import DEFAULT

if TYPE_CHECKING:
    from .baseline.file import Entry

T = TypeVar("T")


class Settings(NamedTuple):
    """The options of a run. ``slow_after`` is in seconds."""

    rules: tuple[Rule, ...]
    strict: bool
    slow_after: float
    reports: tuple[Path, ...]
    #: The file of known findings, its entries, and whether this run rewrites it.
    baseline: Path | None = None
    known: "tuple[Entry, ...]" = ()
    update: bool = False
    #: For how many seconds a loop stands still before that counts as a deadlock.
    still_after: float = STILL_AFTER
    #: Print the task tree of a test that takes this many seconds; 0 never does.
    hang: float = 0.0

    def turns_on(self, trap: type[Trap]) -> bool:
        """Whether this run arms ``trap``."""
        if trap.enabled == "always" or (trap.enabled == "strict" and self.strict):
            return True
        return any(rule.kind == trap.kind and rule.action in (FAIL, WARN) for rule in self.rules)


def add_options(parser: pytest.Parser) -> None:
    """Declare options and ini values. Long, as it has one call for each option."""
    group = parser.getgroup("asyncio-traps", "asyncio traps")
    group.addoption(
        "--asyncio-traps",
        action="append",
        default=[],
        metavar="RULE",
        help="what to do about traps: ACTION[:KIND[:REGEX]], ACTION one of fail, warn, allow, off; "
        "the last match wins; may be given more than once",
    )
    group.addoption(
        "--asyncio-strict",
        action="store_true",
        help="for CI: what would warn fails, an allow that matched nothing fails, an allow marker "
        "needs a reason, and traps that belong to no test fail the run",
    )
    group.addoption(
        "--asyncio-slow-callback-duration",
        metavar="SECONDS",
        help=f"how long a step of a loop may take (default: {DEFAULT})",
    )
    group.addoption(
        "--asyncio-deadlock-duration",
        metavar="SECONDS",
        help="how long a loop stands still before the plugin ends a test that waits forever "
        f"(default: {STILL_AFTER:g})",
    )
    group.addoption(
        "--asyncio-traps-report",
        action="append",
        default=[],
        metavar="PATH",
        help="write the findings to PATH, whose suffix says how: "
        f"{_either(FORMATS)}; may be given more than once",
    )
    group.addoption(
        "--asyncio-traps-baseline",
        metavar="PATH",
        help="known findings of an old suite: they are listed and do not fail, new ones do; "
        "with --asyncio-strict, what no longer occurs fails the run",
    )
    group.addoption(
        "--asyncio-traps-update-baseline",
        action="store_true",
        help="write the baseline from what this run finds; nothing that is found fails",
    )
    group.addoption(
        "--asyncio-traps-explain",
        nargs="?",
        const="",
        metavar="KIND",
        help="print what a kind of trap is, why it matters and how to mend it, and end; "
        "without KIND, list all kinds",
    )
    group.addoption(
        "--asyncio-traps-hang",
        metavar="SECONDS",
        help="print which task waits for what, once, while a test runs that takes longer; "
        "0 never does (default: 0)",
    )
    parser.addini("asyncio_traps_hang", default="", help="as --asyncio-traps-hang")
    parser.addini("asyncio_traps", type="linelist", default=[], help="rules, as --asyncio-traps")
    parser.addini(
        "asyncio_slow_callback_duration",
        default="",
        help="as --asyncio-slow-callback-duration",
    )
    parser.addini("asyncio_deadlock_duration", default="", help="as --asyncio-deadlock-duration")
    parser.addini(
        "asyncio_traps_strict", type="bool", default=False, help="as --asyncio-strict, in every run"
    )
    parser.addini("asyncio_traps_baseline", default="", help="as --asyncio-traps-baseline")


def is_strict(config: pytest.Config, given: argparse.Namespace | None = None) -> bool:
    """Whether the run of ``config`` is strict, by its command line or by its ini file."""
    given = config.option if given is None else given
    return bool(given.asyncio_strict or config.getini("asyncio_traps_strict"))


def read_settings(
    config: pytest.Config, given: argparse.Namespace, kinds: Sequence[str] | None
) -> Settings:
    """The settings of this run, from the ini file and from ``given``, the command line.

    Rules and baseline may name any of ``kinds``, or any kind at all where ``kinds`` is None. Raises
    `pytest.UsageError` with all values that are wrong.
    """
    errors: list[str] = []

    def read(parse: Callable[..., T], *args: Any) -> T | None:
        try:
            return parse(*args)
        except BadRuleError as exc:
            errors.append(str(exc))
            return None

    of_ini = config.getini("asyncio_traps"), str(config.inipath or "asyncio_traps")
    rules = [
        read(parse_rule, text, kinds, where)
        for texts, where in (of_ini, (given.asyncio_traps, "--asyncio-traps"))
        for text in texts
    ]
    slow_after = read(_seconds, config, given, "asyncio_slow_callback_duration", parse_threshold)
    still_after = read(_seconds, config, given, "asyncio_deadlock_duration", parse_threshold)
    hang = read(_seconds, config, given, "asyncio_traps_hang", parse_hang)
    reports = [read(_report_path, config, path) for path in given.asyncio_traps_report]
    update = given.asyncio_traps_update_baseline
    baseline = read(_baseline_path, config, given.asyncio_traps_baseline, update)
    known = read(_known, baseline, update, kinds) if baseline is not None else ()
    if errors:
        raise pytest.UsageError(one_message(errors))
    return Settings(
        tuple(filter(None, rules)),
        is_strict(config, given),
        DEFAULT if slow_after is None else slow_after,
        tuple(filter(None, reports)),
        baseline,
        known or (),
        update,
        STILL_AFTER if still_after is None else still_after,
        hang or 0.0,
    )


def _seconds(
    config: pytest.Config,
    given: argparse.Namespace,
    name: str,
    parse: Callable[[object, str], float],
) -> float | None:
    """The value of an option that is also an ini value, or None if neither is given."""
    seconds = None
    option = f"--{name.replace('_', '-')}"
    for where, value in ((name, config.getini(name)), (option, getattr(given, name))):
        if value not in (None, ""):
            seconds = parse(value, where)
    return seconds


def _baseline_path(config: pytest.Config, text: str | None, update: bool) -> Path | None:
    """The file of known findings. The command line overrides the ini file, even with no path."""
    folder = config.invocation_params.dir
    if text is None:
        text = config.getini("asyncio_traps_baseline")
        folder = config.inipath.parent if config.inipath is not None else config.rootpath
    if text:
        return Path(folder, text)
    if update:
        raise BadRuleError(
            "--asyncio-traps-update-baseline: there is no file to write; name one by "
            "--asyncio-traps-baseline PATH, or by asyncio_traps_baseline in the ini file"
        )
    return None


def _known(path: Path, update: bool, kinds: Sequence[str] | None) -> "tuple[Entry, ...]":
    """The entries of the file, which has to exist unless this run writes it."""
    from .baseline.file import BadBaselineError, parse  # not needed in most runs

    try:
        if update:
            _check_writable(path, str(path))
        return parse(path.read_bytes(), kinds)
    except FileNotFoundError:
        if update:
            return ()
        raise BadRuleError(
            f"{path}: there is no such baseline; --asyncio-traps-update-baseline makes it"
        ) from None
    except OSError as exc:
        raise BadRuleError(f"{path}: cannot be read: {exc.strerror or exc}") from None
    except BadBaselineError as exc:
        raise BadRuleError(f"{path}:{exc}") from None


def _report_path(config: pytest.Config, text: str) -> Path:
    path = Path(config.invocation_params.dir, text)
    where = f"--asyncio-traps-report {text}"
    if path.suffix not in FORMATS:
        raise BadRuleError(f"{where}: the suffix must be {_either(FORMATS)}")
    _check_writable(path, where)
    if reason := missing(path.suffix):
        raise BadRuleError(f"{where}: {reason}")
    return path


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _check_writable(path: Path, where: str) -> None:
    if path.is_dir():
        raise BadRuleError(f"{where}: is a folder")
    if not path.parent.is_dir():
        raise BadRuleError(f"{where}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadRuleError(f"{where}: cannot be written")
