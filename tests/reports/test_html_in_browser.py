"""The HTML report in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ..browser import ask, needs_browser
from ..cases import cases
from .samples import HOSTILE, finding, hang, make, slow


@needs_browser
def test_the_filter(tmp_path: Path) -> None:
    """By kind, by several kinds, by words; what is left is counted, an empty heading goes."""
    findings = [(finding(n, tmp_path), 1) for n in range(26)]
    findings += [(finding(100, tmp_path, kind="never-awaited", action="allow"), 1)]
    path = make(tmp_path, findings)

    answers = ask(
        path,
        """
        const form = page.querySelector("form.filter"), field = form.elements.text;
        const shown = () => all(".cause").filter((c) => c.checkVisibility()).length;
        const press = (kind) => form.querySelector(`[data-kind="${kind}"]`).click();
        const type = (text) => { field.value = text; field.dispatchEvent(new view.Event("input")); };
        const answers = { begin: shown(), visible: form.checkVisibility() };
        press("pending-task"); answers.one = shown();
        answers.headings = all("section.causes").filter((s) => s.checkVisibility()).length;
        press("never-awaited"); answers.two = shown();
        press("pending-task"); press("never-awaited"); answers.back = shown();
        type("APP_7_plain.py"); answers.path = shown();
        type("test_3.py  number"); answers.words = shown();
        answers.said = form.querySelector("output").textContent;
        type("no such thing"); answers.none = shown();
        type("");
        form.elements.close.click(); answers.open = all(".cause[open]").length;
        form.elements.open.click(); answers.all = all(".cause[open]").length;
        return answers;
        """,
    )

    assert answers == {
        "begin": 27,
        "visible": True,
        "one": 2,
        "headings": 1,
        "two": 5,
        "back": 27,
        "path": 1,
        "words": 1,
        "said": "1 of 27 shown.",
        "none": 0,
        "open": 0,
        "all": 27,
    }


_LOOKS = """
    for (const part of all("details")) part.open = true;
    const root = page.documentElement, back = view.getComputedStyle(page.body).backgroundColor;
    const wide = all("body *").filter((e) => !e.closest("pre, .wide, svg, .scroller")
        && e.getBoundingClientRect().right > root.clientWidth + 1).map((e) => e.outerHTML.slice(0, 90));
    const small = all("p, td, code").filter(
        (e) => parseFloat(view.getComputedStyle(e).fontSize) < 11).length;
    return { scroll: root.scrollWidth, client: root.clientWidth, back, wide, small,
        hurt: view.hurt || window.hurt || 0 };
"""


@needs_browser
@pytest.mark.parametrize(
    ("count", "scheme"),
    cases(
        [(0, "light"), (1, "dark"), (300, "light"), (300, "dark")],
        quick=[(0, "light"), (300, "dark")],
        unpack=True,
    ),
)
def test_on_a_phone(tmp_path: Path, count: int, scheme: Any) -> None:
    """Nothing is wider than the screen, whatever names there are; dark is dark, light is light."""
    findings = [(finding(n, tmp_path, HOSTILE[n % len(HOSTILE)]), 1) for n in range(count)]
    findings += [(slow(1000 + n, tmp_path, HOSTILE[n]), 1) for n in range(min(count, 6))]

    hangs = [hang(n, tmp_path, HOSTILE[n]) for n in range(min(count, len(HOSTILE)))]

    path = make(tmp_path, findings, hangs=hangs)
    answer = ask(path, _LOOKS, width=390, scheme=scheme)

    red, green, blue = map(int, re.findall(r"\d+", answer["back"])[:3])
    assert (red + green + blue > 600) is (scheme == "light")
    assert answer["scroll"] == answer["client"] <= 390
    assert answer["wide"] == []
    assert answer["small"] == 0
    assert answer["hurt"] == 0


@needs_browser
def test_the_policy_holds(tmp_path: Path) -> None:
    """Our own style and script run; a script, a style or a picture that got in would not."""
    answer = ask(
        make(tmp_path, [(finding(1, tmp_path), 1)]),
        """
        const script = page.createElement("script");
        script.textContent = "window.hurt = 1";
        page.body.append(script);
        const style = page.createElement("style");
        style.textContent = "body { max-width: 7px !important }";
        page.head.append(style);
        page.body.setAttribute("style", "max-width: 7px");
        return {
          hurt: view.hurt || 0,
          width: view.getComputedStyle(page.body).maxWidth,
          form: page.querySelector("form.filter").hidden,
        };
        """,
    )

    assert answer == {"hurt": 0, "width": "1152px", "form": False}


@needs_browser
def test_the_timeline_is_drawn(tmp_path: Path) -> None:
    """In order, within the width, and with colours of its own."""
    answer = ask(
        make(tmp_path, [(slow(1, tmp_path), 1)]),
        """
        const drawing = page.querySelector(".flame").getBoundingClientRect();
        const part = (form) => all(`.flame .${form} rect`).map((r) => r.getBoundingClientRect());
        const [step] = part("step"), [idle] = part("idle"), [before] = part("before");
        const calls = [...part("user"), ...part("other")];
        return {
          inside: [step, idle, before, ...calls].every(
            (r) => r.left >= drawing.left - 1 && r.right <= drawing.right + 1 && r.width > 1),
          order: idle.right <= before.left + 1 && before.right <= step.left + 1,
          below: calls.every((r) => r.top >= step.bottom && r.left >= step.left - 1),
          calls: calls.length,
          fills: new Set(all(".flame rect").map((r) => view.getComputedStyle(r).fill)).size,
        };
        """,
    )

    assert answer == {"inside": True, "order": True, "below": True, "calls": 31, "fills": 5}


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_task_tree(tmp_path: Path, width: int, scheme: Any) -> None:
    """Nested lists with room for their text, legible colours, and a link that leads to its task."""
    (tmp_path / "app_plain.py").write_text("await something()\n" * 4, encoding="utf-8")
    answer = ask(
        make(tmp_path, [], hangs=[hang(0, tmp_path)]),
        """
        const box = (e) => e.getBoundingClientRect();
        const channels = (color) => color.match(/[\\d.]+/g).map(Number);
        const light = (color) => channels(color).slice(0, 3).map((c) => c / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
        const back = (e) => {
          const color = view.getComputedStyle(e).backgroundColor;
          const clear = channels(color)[3] === 0;
          return clear && e.parentElement ? back(e.parentElement) : color;
        };
        const contrast = (e) => {
          const [dark, bright] = [light(view.getComputedStyle(e).color), light(back(e))].sort((a, b) => a - b);
          return (bright + 0.05) / (dark + 0.05);
        };
        const hang = page.querySelector(".hang"), link = hang.querySelector("a");
        return {
          nested: all(".tree .tree > li").every((i) => box(i).left > box(i.parentElement.parentElement).left),
          narrowest: Math.min(...all(".tree p").map((p) => box(p).width)),
          contrast: Math.min(...[...hang.querySelectorAll("p, code, strong, b, .label, .badge, a")].map(contrast)),
          target: link && page.querySelector(link.getAttribute("href")).querySelector(".name").textContent,
        };
        """,
        width=width,
        scheme=scheme,
    )

    assert answer.pop("contrast") >= 4.5
    assert answer.pop("narrowest") > 150
    assert answer == {"nested": True, "target": "left: plain"}
