"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from pytest_asyncio_traps.model.files import write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "new.txt", b"all of it")

    assert (tmp_path / "new.txt").read_bytes() == b"all of it"
    assert names(tmp_path) == ["new.txt"]


@posix
def test_the_mode_of_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new.txt", b"")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o640


@posix
def test_a_link_and_a_mode_stay(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "real.txt").write_text("old")
    (folder / "real.txt").chmod(0o604)
    (tmp_path / "link.txt").symlink_to("elsewhere/real.txt")

    write_whole(tmp_path / "link.txt", b"new")

    assert (tmp_path / "link.txt").is_symlink()
    assert (folder / "real.txt").read_bytes() == b"new"
    assert stat.S_IMODE((folder / "real.txt").stat().st_mode) == 0o604
    assert names(folder) == ["real.txt"]


@posix
def test_a_link_that_leads_nowhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("real.txt")

    write_whole(tmp_path / "link.txt", b"new")

    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_bytes() == b"new"


@posix
def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", b"new")


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """However late the disk says so, nothing is left beside the file."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "known.txt"
    path.write_text("old")
    if function == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")

    assert path.read_text() == "old"
    assert names(tmp_path) == ["known.txt"]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Not a regular file"):
        write_whole(tmp_path, b"new")

    with pytest.raises(OSError, match="No such file"):
        write_whole(tmp_path / "nowhere" / "known.txt", b"new")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anything"
)
def test_a_file_that_is_write_protected(tmp_path: Path) -> None:
    path = tmp_path / "known.txt"
    path.write_text("old")
    path.chmod(0o444)

    with pytest.raises(PermissionError):
        write_whole(path, b"new")

    assert path.read_text() == "old"


def test_a_long_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)

    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
