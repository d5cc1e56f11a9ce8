"""Private parts of CPython, asyncio, pytest and plugins: each name once, with what is lost."""
