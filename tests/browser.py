"""Opens a page in a real browser, without a window, and asks it questions."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# The page stands in a frame: a window of the browser's may not be as narrow as a phone. Its
# policy is its own, and the script that asks is not bound by it.
_FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" style="width: {width}px; height: 800px; border: 0" srcdoc="{page}"></iframe>
<pre id="answer"></pre>
<script>
const frame = document.getElementById("frame");
const say = (answer) => {{ document.getElementById("answer").textContent = JSON.stringify(answer); }};
frame.addEventListener("load", () => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const all = (selector) => [...page.querySelectorAll(selector)];
  try {{ say((() => {{ {script} }})()); }} catch (error) {{ say("failed: " + error); }}
}});
</script>
"""


def ask(
    path: Path, script: str, *, width: int = 1000, scheme: Literal["dark", "light"] = "light"
) -> Any:
    """What ``script`` returns, run beside the page at ``path`` in a frame of ``width`` pixels.

    It may use ``page``, the document; ``view``, its window; and ``all(selector)``.
    """
    assert CHROMIUM is not None
    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        frame = Path(folder, "frame.html")
        frame.write_text(
            _FRAME.format(width=width, page=html.escape(text), script=script), encoding="utf-8"
        )
        done = subprocess.run(
            [
                CHROMIUM,
                *_FLAGS,
                f"--user-data-dir={folder}/profile",
                f"--blink-settings=preferredColorScheme={('dark', 'light').index(scheme)}",
                "--dump-dom",
                frame.as_uri(),
            ],
            capture_output=True,
            timeout=180,
            check=True,
        )
    dom = done.stdout.decode()
    _, _, rest = dom.partition('<pre id="answer">')
    answer = html.unescape(rest.partition("</pre>")[0])
    assert answer, f"the browser did not answer: {done.stderr.decode(errors='replace')[-2000:]}"
    return json.loads(answer)
