"""Starts real servers on free ports of 127.0.0.1, and stops them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

#: Seconds after which a server that does not answer has failed.
_PATIENCE = 60


class ServerMissingError(Exception):
    """The program of a server is not installed, or cannot be run here."""


@contextmanager
def redis_server() -> Iterator[int]:
    """A Redis server: its port."""
    program = _find("redis-server")
    with _folder() as folder:
        port = _free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command = [program, *options, "--save", "", "--appendonly", "no"]
        with _running(command, folder, lambda: _accepts(port)):
            yield port


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server: its URL, for a user without a password."""
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path = os.pathsep.join(["", *folders])
    initdb, postgres, is_ready = (
        _find(name, path) for name in ("initdb", "postgres", "pg_isready")
    )
    # PostgreSQL refuses to be run by root.
    user = "postgres" if hasattr(os, "getuid") and os.getuid() == 0 else None
    with _folder(user) as folder:
        data, port = folder / "data", str(_free_port())
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", "postgres", "-N", "--no-locale"],
            check=True,
            cwd=folder,
            user=user,
            stdout=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
        command = [
            postgres,
            "-D",
            str(data),
            "-h",
            "127.0.0.1",
            "-p",
            port,
            "-k",
            str(folder),
            "-F",
        ]
        ask = [is_ready, "-q", "-h", "127.0.0.1", "-p", port]
        with _running(command, folder, lambda: subprocess.run(ask).returncode == 0, user):
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _find(program: str, path: str = "") -> str:
    found = shutil.which(program, path=os.environ.get("PATH", os.defpath) + path)
    if found is None:
        raise ServerMissingError(f"{program} is not installed")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def _folder(user: str | None = None) -> Iterator[Path]:
    """A temporary folder of ``user``; the folders of pytest are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="traps-", ignore_cleanup_errors=True) as folder:
        if user is not None:
            try:
                shutil.chown(folder, user)
            except LookupError as exc:
                raise ServerMissingError(f"there is no user {user!r} to run it") from exc
        yield Path(folder)


@contextmanager
def _running(
    command: Sequence[str], folder: Path, is_ready: Callable[[], bool], user: str | None = None
) -> Iterator[None]:
    """Run ``command`` until the block ends, which begins when ``is_ready`` returns true."""
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, user=user, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _PATIENCE
            while not is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not start:\n{log.read_text()}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
