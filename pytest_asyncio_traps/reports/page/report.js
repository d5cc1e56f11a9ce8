"use strict";
(() => {
  const form = document.querySelector("form.filter");
  if (!form) return;
  const causes = [...document.querySelectorAll(".cause")];
  const texts = new Map(causes.map((cause) => [cause, null]));
  const kinds = [...form.querySelectorAll("button[data-kind]")];
  const field = form.elements.text;
  const output = form.querySelector("output");

  const textOf = (cause) => {
    if (texts.get(cause) === null) texts.set(cause, cause.textContent.toLowerCase());
    return texts.get(cause);
  };

  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(kinds.filter((k) => k.getAttribute("aria-pressed") === "true").map((k) => k.dataset.kind));
    let shown = 0;
    for (const cause of causes) {
      const fits = (!wanted.size || wanted.has(cause.dataset.kind)) && words.every((word) => textOf(cause).includes(word));
      cause.hidden = !fits;
      shown += fits;
    }
    for (const section of document.querySelectorAll("section.causes"))
      section.hidden = !section.querySelector(".cause:not([hidden])");
    output.textContent = shown === causes.length ? `${shown} shown.` : `${shown} of ${causes.length} shown.`;
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", apply);
  for (const kind of kinds)
    kind.addEventListener("click", () => {
      kind.setAttribute("aria-pressed", String(kind.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  for (const [name, open] of [["open", true], ["close", false]])
    form.elements[name].addEventListener("click", () => {
      for (const cause of causes) if (!cause.hidden) cause.open = open;
    });
  form.hidden = false;
  apply();
})();
