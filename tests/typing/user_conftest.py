"""A conftest.py with a kind and both hooks, as a user with a strict type checker writes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_asyncio_traps import DROP, Drop, Finding, Here, Owner, Place, Trap, TrapRecorder


class Client:
    """What is to be closed."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.made: Here | None = None

    def close(self) -> None:
        """Close it."""


class UnclosedClient(Trap):
    """A client keeps its connection until it is closed."""

    kind = "unclosed-client"
    title = "a client was left open"
    advice = "Close it before the test or fixture that made it ends."
    enabled = "strict"
    steady = False

    def arm(self) -> None:
        self.open: list[Here] = []
        self.after(Client, "__init__", self.opened)
        self.before(Client, "close", self.closed)
        self.at_end(self.open.clear)
        self.blind("clients of other threads", "they are not looked for")

    def opened(self, client: Client, host: str) -> None:
        client.made = self.here()
        self.open.append(client.made)

    def closed(self, client: Client) -> None:
        with self.guard():
            if client.made is not None:
                self.open.remove(client.made)

    def judge(self, final: bool) -> None:
        for made in [made for made in self.open if made.ended or final]:
            self.open.remove(made)
            place: Place | None = made.place
            owner: Owner = made.owner
            note = f"It is one of {owner.name}."
            self.report("a client was left open", made, location=place, notes=(note,), subject="x")


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_traps_kinds() -> list[type[Trap]]:
    return [UnclosedClient]


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_asyncio_traps_finding(
    item: pytest.Item | None, finding: Finding
) -> Finding | Drop | None:
    if item is None:
        return DROP
    if finding.place is not None and finding.place.line > 0 and finding.kind == "pending-task":
        return finding._replace(notes=(*finding.notes, f"Seen in {item.name}."))
    return None


@pytest.fixture
def clean(asyncio_traps: TrapRecorder) -> Iterator[TrapRecorder]:
    yield asyncio_traps
    assert not asyncio_traps.findings
