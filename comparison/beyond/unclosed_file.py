"""A file that is never closed, only garbage-collected."""

import pathlib


# [bad]
def test_bad():
    assert pathlib.Path(__file__).open().readline()  # here


# [bad end]


# [good]
def test_good():
    with pathlib.Path(__file__).open() as file:
        assert file.readline()


# [good end]
