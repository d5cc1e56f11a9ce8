"""All wording: the terminal, ``--asyncio-traps-explain`` and ``--asyncio-traps-report``.

Each file format is a module with a function ``render(run)`` that returns the bytes of the file for
a `Run`. `formats` lists these modules; they are imported only when a file is written.
"""
