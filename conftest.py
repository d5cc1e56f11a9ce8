"""Configuration of all tests. Only a top-level conftest.py may set ``pytest_plugins``."""

pytest_plugins = ["pytester"]
