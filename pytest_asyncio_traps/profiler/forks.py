"""Stops the threads of the plugin before a fork, and starts them again after it.

Python 3.12 and later warn of a fork while other threads run.
"""

from __future__ import annotations

import os
from typing import Protocol

from .waiting import main_thread_files


class Forked(Protocol):
    """What has to be undone before a fork."""

    def stop(self) -> None:
        """A fork is about to be made, or the run ends."""

    def resume(self) -> None:
        """The fork was made, and this is the parent."""

    def forget_other_threads(self) -> None:
        """The fork was made, and this is the child."""


_registered: list[Forked] = []


def register(sampler: Forked) -> None:
    """Stop ``sampler`` before each fork, and resume it in the parent."""
    if not _registered:
        main_thread_files.open()
    _registered.append(sampler)


def unregister(sampler: Forked) -> None:
    """Stop ``sampler`` for good."""
    sampler.stop()
    if sampler in _registered:
        _registered.remove(sampler)
        if not _registered:
            main_thread_files.close()


def _before_fork() -> None:
    for sampler in _registered:
        sampler.stop()


def _after_fork_in_parent() -> None:
    for sampler in _registered:
        sampler.resume()


def _after_fork_in_child() -> None:
    main_thread_files.close()  # they are about the parent's thread
    for sampler in _registered:
        sampler.forget_other_threads()


# Python offers no way to unregister these functions, so each process registers them once.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
