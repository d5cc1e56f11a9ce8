"""A coroutine that nobody awaits."""

import asyncio


# [bad]
class Store:
    """Keeps rows, somewhere far away."""

    def __init__(self):
        self.rows = []

    async def save(self, row):
        self.rows.append(row)


async def test_bad():
    store = Store()

    store.save("first")  # here

    assert "second" not in store.rows  # true, and so nobody notices


# [bad end]


# [good]
async def test_good():
    store = Store()

    await store.save("first")

    assert store.rows == ["first"]


# [good end]


# [good task]
async def test_good_task():
    store = Store()

    task = asyncio.create_task(store.save("first"))
    await task

    assert store.rows == ["first"]


# [good task end]
