// The newest events, one a line. Up and down move, Enter opens. A value's + and − refine the query.
// @ts-check
import { h, fill, icon, iconButton, copy, segments } from "../dom.js";
import { popover } from "../overlay.js";
import * as f from "../format.js";
import { knownFields } from "./known-fields.js";
import { isRefinable } from "./terms.js";

const WIDE = ["message", "process.command_line", "event.original"];
const MOST_ROWS = 200;
/** Lines drawn at a time. Each costs every key in the query box a little, since the browser paints page by page. */
const DRAWN_ROWS = 50;
const DRAWN_AHEAD = "600px";
const MOST_FIELDS = 200;
const MOST_IN_CELL = 300;
const MOST_IN_VALUE = 2000;

/**
 * @param {{columns: string[], refine: (field: string, value: any, isExcluded: boolean) => void, toggle: (field: string) => void, more: (offset: number) => Promise<any[]>}} options
 */
export function eventTable({ columns, refine, toggle, more }) {
  let shown = columns, isLoading = true, total = 0, drawn = 0;
  /** @type {Record<string, any>[]} */
  let events = [];
  const open = new Set();
  const table = h("table", { "aria-label": "Events" });
  const after = h("div", {});
  const scroller = h("div.lines", { tabindex: 0, role: "region", "aria-label": "Events, scrolls" }, table, after);
  const title = h("h2.grow", {}, "Newest events");
  const fieldsButton = h("button.btn.quiet", { type: "button", "aria-label": "Fields panel" }, icon("fields"), "Fields");
  const node = h("section.events.card", { "aria-label": "Newest events" },
    h("header", {}, title, fieldsButton,
      h("button.btn.quiet", { type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", onclick: (e) => popover(e.currentTarget, chooser(), "Columns") }, icon("columns"), "Columns")), scroller);
  new ResizeObserver(() => scroller.style.setProperty("--frame", `${scroller.clientWidth}px`)).observe(scroller);

  function chooser() {
    const list = h("ul", { tabindex: -1 });
    const find = h("input.input", { "aria-label": "Find a column", placeholder: "Find a column", "data-focus": true, oninput: draw });
    let names = [...new Set([...shown, ...events.slice(0, 50).flatMap((event) => Object.keys(event))])];
    function draw() {
      const wanted = find.value.toLowerCase().trim();
      fill(list, names.filter((name) => name !== "@timestamp" && name.toLowerCase().includes(wanted)).slice(0, 60).map((name) => h("li", {}, h("label.check", {}, h("input", { type: "checkbox", checked: shown.includes(name), onchange: () => toggle(name) }), f.clip(f.plain(name), 100)))));
    }
    draw();
    knownFields().then((known) => { names = [...new Set([...names, ...known.map((x) => x.name)])]; draw(); }, () => {});
    return h("div.cols", {}, find, list, h("p.hint", {}, "Kept in this browser."));
  }

  function draw() {
    const head = h("tr", {}, h("th.open-cell", { scope: "col" }, h("span.sr", {}, "Open")), h("th", { scope: "col" }, `Time (${f.zoneName()})`),
      shown.map((name) => h(WIDE.includes(name) ? "th.message" : "th", { scope: "col" }, f.clip(f.plain(name), 60), " ", iconButton("close", `Take ${name} out of the table`, () => toggle(name)))));
    const ghosts = () => Array.from({ length: 12 }, (_, r) => h("tr.e", {}, h("td"), [0, ...shown].map((_, n) => h("td", {}, h("div.ghost", { share: 35 + (r * 37 + n * 53) % 60 })))));
    fill(table, h("thead", {}, head), h("tbody", {}, isLoading ? ghosts() : null));
    const wanted = Math.max(drawn, DRAWN_ROWS);
    drawn = 0;
    drawOn(wanted);
    const first = table.querySelector(".open");
    if (first) first.tabIndex = 0;
  }
  /** Draws further lines, up to so many. */
  function drawOn(upTo) {
    const from = drawn;
    drawn = Math.min(upTo, events.length);
    if (!isLoading) table.querySelector("tbody")?.append(...events.slice(from, drawn).flatMap((event, n) => row(event, from + n)));
    drawMore();
  }
  const near = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && drawn < events.length) drawOn(drawn + DRAWN_ROWS); }, { root: scroller, rootMargin: DRAWN_AHEAD });
  function drawMore() {
    // Observed anew, since it may be near still and would not be told of again.
    near.unobserve(after);
    near.observe(after);
    const left = Math.min(1000, total) - events.length;
    fill(after, !isLoading && drawn === events.length && left > 0 && h("button.btn.quiet.more", { type: "button", onclick: (e) => grow(e.currentTarget) }, `Show ${f.count(Math.min(MOST_ROWS, left))} more`));
  }
  async function grow(button) {
    button.setAttribute("aria-busy", "true");
    const added = (await more(events.length)).map(withoutCopy);
    const at = events.length;
    events = [...events, ...added];
    if (!added.length) total = events.length;
    drawOn(events.length);
    table.querySelectorAll(".open")[at]?.focus();
  }

  function row(event, n) {
    const isOpen = open.has(n);
    const opener = h("button.mini.open", { type: "button", tabindex: -1, "aria-expanded": String(isOpen), "aria-label": `Event of ${f.line(event["@timestamp"])}` }, icon("right", 12));
    const tr = h(isOpen ? "tr.e.on" : "tr.e", { "data-n": n }, h("td.open-cell", {}, opener), h("td.time", {}, f.line(event["@timestamp"])), shown.map((name) => cell(event, name)));
    return isOpen ? [tr, h("tr.w", {}, h("td.whole", { colspan: shown.length + 2 }, whole(event)))] : [tr];
  }
  function cell(event, name) {
    if (!Object.hasOwn(event, name)) return h("td.none", {}, "–");
    const text = f.clip(f.plain(event[name]), MOST_IN_CELL).replace(/\n/g, " ");
    return h(WIDE.includes(name) ? "td.message" : "td", {}, h("bdi", {}, text));
  }
  /** + and − of the one cell that is pointed at: those of every cell would be most of the page. */
  const acts = h("span.acts", {});
  function point(td) {
    if (td === acts.parentNode) return;
    acts.remove();
    const event = events[Number(td?.parentNode.dataset.n)], name = shown[td?.cellIndex - 2];
    if (!event || !name || !Object.hasOwn(event, name) || !isRefinable(name, one(event[name]))) return;
    fill(acts, pair(name, one(event[name]), { tabindex: -1 }));
    td.append(acts);
  }
  table.addEventListener("pointerover", (e) => point(e.target.closest("tr.e > td")));
  table.addEventListener("pointerleave", () => point(null));
  function pair(name, value, more = {}) {
    const text = f.clip(f.plain(value), 100);
    return [iconButton("plus", `Keep only ${name}:${text}`, () => refine(name, value, false), "mini", more), iconButton("minus", `Leave out ${name}:${text}`, () => refine(name, value, true), "mini", more)];
  }

  function flip(n) {
    if (open.has(n)) open.delete(n); else open.add(n);
    const tr = table.querySelector(`tr[data-n="${n}"]`);
    if (tr.nextElementSibling?.classList.contains("w")) tr.nextElementSibling.remove();
    const next = row(events[n], n);
    tr.replaceWith(...next);
    for (const b of table.querySelectorAll(".open")) b.tabIndex = -1;
    const button = next[0].querySelector(".open");
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
  }
  table.addEventListener("click", (e) => {
    const tr = e.target.closest("tr.e");
    if (tr?.dataset.n && (!e.target.closest("button") || e.target.closest(".open")) && !String(getSelection())) flip(Number(tr.dataset.n));
  });
  table.addEventListener("keydown", (e) => {
    if (e.key === "End") drawOn(events.length);
    else if (e.key === "ArrowDown" && Number(e.target.closest("tr")?.dataset.n) === drawn - 1) drawOn(drawn + DRAWN_ROWS);
    const buttons = [...table.querySelectorAll(".open")], at = buttons.indexOf(e.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[e.key];
    if (at < 0 || to === undefined || !buttons[to]) return;
    e.preventDefault();
    buttons[at].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  });

  function whole(event) {
    const place = h("div"), names = Object.keys(event);
    const asFields = (most = MOST_FIELDS) => h("div.stack.tight", {}, h("dl", {}, names.slice(0, most).map((name) => line(event, name))),
      names.length > most && h("button.link", { type: "button", onclick: () => fill(place, asFields(names.length)) }, `Show all ${f.count(names.length)} fields`));
    const asJson = () => h("pre", { tabindex: 0, role: "region", "aria-label": "The event as JSON" }, "{\n", names.map((name, n) => ["  ", h("i", {}, visible(JSON.stringify(name))), `: ${f.clip(visible(JSON.stringify(event[name])), 200_000)}${n < names.length - 1 ? "," : ""}\n`]), "}");
    fill(place, asFields());
    return h("div.event", {}, h("div.row", {}, segments("Show the event as", [["Fields", () => fill(place, asFields()), true], ["JSON", () => fill(place, asJson()), false]]),
      h("span.muted.small.grow", {}, f.plural(names.length, "field")),
      h("button.btn.quiet", { type: "button", onclick: () => copy(JSON.stringify(event), "Event copied as JSON") }, icon("copy"), "Copy JSON")), place);
  }
  function line(event, name) {
    const value = event[name], single = one(value);
    if (Array.isArray(single) && single.length <= 20 && single.every((x) => isRefinable(name, x))) {
      return h("div.long", {}, h("dt", {}, key(name)), h("dd.values", {}, single.map((x) => h("span", {}, text(x), pair(name, x)))), h("dd.do", {}, column(name)));
    }
    return h(WIDE.includes(name) ? "div.long" : "div", {}, h("dt", {}, key(name)), h("dd", {}, text(value)), h("dd.do", {}, isRefinable(name, single) && pair(name, single), name !== "@timestamp" && column(name)));
  }
  const key = (name) => f.clip(f.plain(name), 300);
  const column = (name) => iconButton("columns", `Column ${name}`, () => toggle(name), "mini", { "aria-pressed": String(shown.includes(name)) });
  function text(value) {
    const full = f.plain(value), place = h("bdi", {}, f.clip(full, MOST_IN_VALUE));
    return full.length <= MOST_IN_VALUE ? place
      : [place, " ", h("button.link", { type: "button", onclick: (e) => { place.textContent = full; e.currentTarget.remove(); } }, `Show all ${f.count(full.length)} characters`)];
  }
  draw();
  return {
    node, fields: fieldsButton,
    columns(next) { shown = next; draw(); },
    /** @param {Record<string, any>[]} list newest first @param {number} matches how many there are in all */
    show(list, matches) {
      events = list.map(withoutCopy);
      total = matches;
      isLoading = false;
      drawn = 0;
      open.clear();
      title.textContent = matches > list.length ? `Newest ${f.count(Math.min(1000, matches))} events` : f.plural(matches, "event");
      draw();
    },
  };
}

/** A list of one is its value. */
const one = (value) => (Array.isArray(value) && value.length === 1 ? value[0] : value);

/** The API copies @timestamp to `timestamp` for older clients; people need it once. */
export function withoutCopy(event) {
  if (event.timestamp !== event["@timestamp"]) return event;
  const { timestamp: _, ...rest } = event;
  return rest;
}

const visible = (json) => json.replace(/[\p{Cf}\p{Zl}\p{Zp}\x7f-\x9f]/gu, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase()}⟩`);
