"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Have ``path`` hold ``data``, or what it held before. Raises `OSError`.

    Written beside ``path`` first, under a name that nobody can guess, and moved over it: a full
    disk or a second run leaves a whole file. A link is followed, not replaced, and the mode of
    a file that is there stays as it is.
    """
    try:
        path = path.resolve()
    except RuntimeError as exc:  # links in a circle, before Python 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from exc
    mode = _mode_of(path)
    beside = path.with_name(f".{_cut(path.name)}.{secrets.token_hex(8)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(beside, flags, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a disk may say only now that it is full
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _cut(name: str) -> str:
    """``name``, cut to what leaves room for a suffix: file systems count bytes, up to 255."""
    return name.encode("utf-8", "replace")[:100].decode("utf-8", "ignore")


def _mode_of(path: Path) -> int | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if not os.access(path, os.W_OK):
        # A move would get past what its owner has forbidden.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return stat.S_IMODE(mode)
