"""Outcomes of tests, and differences between two runs. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: The outcome of a test that is missing in one of the runs.
ABSENT = "absent"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a test over all its phases. ``message`` has the reasons; it may be empty."""

    text: str
    message: str = ""

    @property
    def word(self) -> str:
        """The word under which the test is counted, such as ``passed``."""
        return self.text.split(",")[0].split(" ")[0]


def outcomes(lines: Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
    """The outcome of each test, by nodeid. ``lines`` are those that `recorder` wrote."""
    of_test: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["nodeid"]:
            of_test[line["nodeid"]].append(line)
    return {nodeid: _outcome(events) for nodeid, events in of_test.items()}


def _outcome(events: list[Mapping[str, Any]]) -> Outcome:
    parts: Counter[str] = Counter()
    whole, ended, messages = "", False, []
    for event in events:
        when, outcome = event["when"], event["outcome"]
        if event["message"]:
            messages.append(event["message"])
        if when == "start":
            ended = False
        elif when == "collect":
            whole, ended = f"{outcome} when collected", True
        elif when == "call" and not whole:
            whole = outcome
        elif when == "setup" and outcome != "passed":
            whole = "failed in setup" if outcome == "failed" else outcome
        elif when == "teardown":
            ended = True
            if outcome != "passed":
                parts[f"{outcome} in teardown"] += 1
        elif outcome != "passed":
            # A subtest, or another report of a finished test.
            parts[f"{when} {outcome}"] += 1
    if not ended:
        whole = "unfinished"
    words = [whole or "unfinished"]
    words += [f"{part} ({count})" if count > 1 else part for part, count in sorted(parts.items())]
    if whole == "passed" and any("failed" in part for part in parts):
        words[0] = "failed"
    return Outcome(", ".join(words), "\n".join(messages))


def totals(of_test: Mapping[str, Outcome]) -> dict[str, int]:
    """The number of tests by outcome: passed, failed and skipped first, then the others."""
    counts = Counter(outcome.word for outcome in of_test.values())
    first = {word: counts.pop(word, 0) for word in ("passed", "failed", "skipped")}
    return first | dict(sorted(counts.items()))


def differing(without: Mapping[str, Outcome], with_: Mapping[str, Outcome]) -> list[str]:
    """The nodeids of tests whose outcomes differ, in the order of the run without the plugin."""
    absent = Outcome(ABSENT)
    return [
        nodeid
        for nodeid in [*without, *(nodeid for nodeid in with_ if nodeid not in without)]
        if without.get(nodeid, absent).text != with_.get(nodeid, absent).text
    ]


@dataclass
class Difference:
    """A test whose outcome differs with the plugin, and how often each outcome occurred."""

    nodeid: str
    without: Counter[str] = field(default_factory=Counter)
    with_: Counter[str] = field(default_factory=Counter)
    #: The last message of each outcome.
    messages: dict[str, str] = field(default_factory=dict)

    def saw(self, with_plugin: bool, outcome: Outcome) -> None:
        """Count ``outcome``, that of another run of the test."""
        (self.with_ if with_plugin else self.without)[outcome.text] += 1
        if outcome.message:
            self.messages[outcome.text] = outcome.message

    @property
    def only_with(self) -> list[str]:
        """Outcomes that occurred more than once with the plugin, and never without it."""
        return [text for text, n in self.with_.items() if n > 1 and text not in self.without]

    @property
    def only_without(self) -> list[str]:
        """Outcomes that occurred more than once without the plugin, and never with it."""
        return [text for text, n in self.without.items() if n > 1 and text not in self.with_]

    @property
    def is_real(self) -> bool:
        """Whether the plugin makes the difference, rather than chance."""
        return bool(self.only_with or self.only_without)
