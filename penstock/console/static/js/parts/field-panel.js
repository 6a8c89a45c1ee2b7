// Fields of the found events: filter by name, open one for its most common values, put it into the table.
// @ts-check
import { h, fill, icon, iconButton, debounce } from "../dom.js";
import * as api from "../api.js";
import { count, percent, plain, clip } from "../format.js";
import { kind } from "./known-fields.js";

const MOST_ROWS = 200;

/**
 * @param {{columns: string[], refine: (field: string, value: any, isExcluded: boolean) => void, toggle: (field: string) => void}} options
 */
export function fieldPanel({ columns, refine, toggle }) {
  let shown = columns, open = "", match = "", job = "", total = 0;
  /** @type {Map<string, import("penstock-api").FoundField>} in alphabetical order */
  let known = new Map();
  let signal, isRead = false;
  const body = h("div", {});
  const search = debounce(() => load(), 200);
  const find = h("input.input", { "aria-label": "Find a field", placeholder: "Find a field", oninput: () => { match = find.value.toLowerCase().trim(); draw(); if (total > known.size) search(); } });
  const node = h("aside.fields.card", { "aria-label": "Fields of these events" }, h("div.find", {}, icon("search", 14), find), body);

  async function load() {
    if (!job) return;
    const asked = match;
    try {
      const page = await api.searchFields(job, match, signal);
      if (asked !== match) return;
      if (!match) total = page.total;
      for (const item of page.items) known.set(item.name, item);
      draw();
    } catch (error) {
      if (!api.isAbort(error)) fill(body, h("p.hint", {}, error instanceof api.Problem ? error.detail : "The fields could not be read."));
    }
  }
  function entry(name) {
    const field = known.get(name), isOpen = open === name, on = shown.includes(name);
    const [mark, word] = kind(field?.value_type ?? "keyword"), values = field?.most_common_values ?? [];
    return h("li", {}, h("div.f", {},
      h("button", { type: "button", "data-name": name, "aria-expanded": String(isOpen), onclick: () => { open = isOpen ? "" : name; draw(); } }, h("span.kind", { title: word }, mark), h("span.cut", {}, clip(plain(name), 200))),
      name !== "@timestamp" && iconButton(on ? "close" : "plus", on ? `Take ${name} out of the table` : `Put ${name} into the table`, () => toggle(name))),
      isOpen && h("div.tops", {}, values.length > 0 && h("ul.stack.tight", {}, values.map(({ name: value, value: share }) => top(name, value, share))),
        h("p", {}, values.length ? "Share of the events that have it, among the newest 1,000" : field ? "No values to show." : isRead ? "None of the newest events has it." : "Reading")));
  }
  function top(name, value, share) {
    const text = clip(plain(value), 300);
    return h("li", {}, h("span.v", { share }, h("span.cut", { title: text }, text || "(empty)"), h("span", {}, percent(share))),
      iconButton("plus", `Keep only ${name}:${text}`, () => refine(name, value, false)), iconButton("minus", `Leave out ${name}:${text}`, () => refine(name, value, true)));
  }
  function draw() {
    const words = match.split(/\s+/), fits = (name) => words.every((w) => name.toLowerCase().includes(w));
    const inTable = shown.filter(fits), others = [...known.keys()].filter((name) => !shown.includes(name) && fits(name)), more = match ? 0 : total - known.size;
    const group = (title, list) => list.length > 0 && [h("h2", {}, title), h("ul", {}, list.slice(0, MOST_ROWS).map(entry))];
    const focus = node.contains(document.activeElement) && document.activeElement instanceof HTMLElement ? document.activeElement.dataset.name : null;
    fill(body, group("In the table", inTable), group(`Other fields (${count(others.length + more)})`, others), more > 0 && h("p.hint", {}, `${count(more)} more: find them by name.`), !inTable.length && !others.length && h("p.hint", {}, match ? `No field’s name holds “${clip(plain(match), 60)}”.` : "Reading the fields"));
    if (focus) /** @type {HTMLElement[]} */ ([...body.querySelectorAll("button[data-name]")]).find((b) => b.dataset.name === focus)?.focus();
  }
  draw();
  return {
    node,
    columns(next) { shown = next; draw(); },
    /** Fills the panel with the fields of a search job that is done. */
    async show(uuid, leaving) { job = uuid; signal = leaving; known = new Map(); await load(); isRead = true; draw(); },
  };
}
