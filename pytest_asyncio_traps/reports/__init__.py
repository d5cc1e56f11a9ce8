"""The files that ``--asyncio-traps-report`` writes: one module for each format.

Such a module has ``render(run)``, which makes the bytes of the file out of a `Run`; the table in
`formats` has its name. It is imported when a file is to be written. Nothing here knows of pytest.
"""
