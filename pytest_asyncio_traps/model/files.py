"""Writes files atomically."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, or leave the file as it was and raise `OSError`.

    Writes a temporary file with an unpredictable name in the same folder, then moves it over
    ``path``, so that neither a full disk nor a concurrent run leaves a truncated file. Follows
    symbolic links, and keeps the mode of an existing file.
    """
    try:
        path = path.resolve()
    except RuntimeError as exc:  # a loop of symbolic links, before Python 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from exc
    mode = _mode_of(path)
    beside = path.with_name(f".{_cut(path.name)}.{secrets.token_hex(8)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(beside, flags, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a full disk may be reported only here
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _cut(name: str) -> str:
    """``name``, cut to 100 bytes: file names may have 255 bytes, and a suffix needs some."""
    return name.encode("utf-8", "replace")[:100].decode("utf-8", "ignore")


def _mode_of(path: Path) -> int | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if not os.access(path, os.W_OK):
        # Moving a file over it would bypass its permissions.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return stat.S_IMODE(mode)
