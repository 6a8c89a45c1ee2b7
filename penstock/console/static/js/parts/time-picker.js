// The time button and its panel: quick ranges on the left, exact times on the right.
// @ts-check
import { h, fill, icon } from "../dom.js";
import { popover } from "../overlay.js";
import { looks, setLook } from "../state.js";
import * as f from "../format.js";

const QUICK = [["Last 15 minutes", "-15m"], ["Last hour", "-1h"], ["Last 4 hours", "-4h"], ["Last 24 hours", "-24h"], ["Last 7 days", "-7d"], ["Last 30 days", "-30d"], ["Last 90 days", "-90d"], ["Last 5 years", "-260w"]];
const UNIT = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
const PLAIN = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?(?:\.\d+)?))?\s*(Z|[+-]\d\d:\d\d)?$/i;

/** A time as milliseconds: "now", "-7d", RFC 3339, or a plain date and time. null when it is none. */
export function parse(text) {
  const ago = /^-(\d{1,6})([smhdw])$/.exec(text);
  if (text === "now") return Date.now();
  if (ago) return Date.now() - Number(ago[1]) * UNIT[ago[2]];
  const plain = PLAIN.exec(text);
  const at = plain ? Date.parse(`${plain[1]}T${plain[2] ?? "00:00"}${plain[3]?.toUpperCase() ?? (looks.zone === "local" ? "" : "Z")}`) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** A time as the API takes it: relative ones as they are, all others RFC 3339. */
export const forApi = (text) => (text === "now" || text.startsWith("-") ? text : new Date(parse(text) ?? NaN).toISOString());

/** A range in words: "Last 7 days", or its two ends. */
export function rangeWords(from, to) {
  const quick = to === "now" && QUICK.find(([, q]) => q === from);
  if (quick) return quick[0];
  const a = parse(from), b = parse(to);
  return a === null || b === null ? `${from} – ${to}` : `${f.moment(a)} – ${to === "now" ? "now" : f.moment(b)}`;
}

export function timeButton(at, onpick) {
  return h("button.btn.when", { type: "button", "data-key": "t", "aria-haspopup": "dialog", "aria-expanded": "false", onclick: (e) => popover(e.currentTarget, panel(at, onpick), "Time range") },
    icon("clock"), h("span.cut", {}, rangeWords(at.from, at.to)), h("small", {}, f.zoneName()), icon("down", 12));
}

function panel(at, onpick) {
  const from = field("from", "From", at.from), to = field("to", "To", at.to);
  const reading = h("p.hint", { role: "status", "aria-label": "Range" });
  const unclear = "Write 2026-11-20 08:00, -7d or now.";
  function read() {
    const a = parse(from.input.value.trim()), b = parse(to.input.value.trim());
    from.wrong(a === null ? unclear : "");
    to.wrong(b === null ? unclear : a !== null && b <= a ? "The end must come after the start." : "");
    const good = a !== null && b !== null && b > a;
    reading.textContent = good ? `${f.moment(a)} to ${f.moment(b)} ${f.zoneName()}, ${f.lasts((b - a) / 1e3)}` : "";
    return good;
  }
  for (const x of [from, to]) x.input.addEventListener("input", read);
  read();
  const use = (e) => { e.preventDefault(); if (read()) onpick(absolute(from.input.value.trim()), absolute(to.input.value.trim())); };
  const zone = (value, word) => h("label.check", {}, h("input", { type: "radio", name: "zone", checked: (looks.zone ?? "") === value, onchange: () => { setLook("zone", value); read(); } }), word);
  return h("div.times", {},
    h("div.quick", { role: "group", "aria-label": "Quick ranges" }, QUICK.map(([word, q]) => h("button", { type: "button", "aria-pressed": String(at.from === q && at.to === "now"), onclick: () => onpick(q, "now") }, word))),
    h("form", { novalidate: true, onsubmit: use }, h("h2", {}, "Exact times"), from.node, to.node, reading,
      h("fieldset.row.wrap", {}, h("legend.sr", {}, "Times in"), zone("", "UTC"), zone("local", "Local time")),
      h("button.btn.solid", { type: "submit" }, "Use these times")));
}
/** Relative times stay; a plain date is read in the zone of now, once. */
const absolute = (text) => (text === "now" || text.startsWith("-") || /(Z|[+-]\d\d:\d\d)$/i.test(text) ? text : new Date(parse(text) ?? 0).toISOString());

function field(id, label, value) {
  const place = h("div", { id: `time-${id}-wrong` }), input = h("input.input.mono", { id: `time-${id}`, value, spellcheck: "false", autocomplete: "off", "aria-describedby": `time-${id}-wrong` });
  return { input, node: h("div.field", {}, h("label", { for: `time-${id}` }, label), place, input),
    wrong(text) { input.setAttribute("aria-invalid", String(!!text)); fill(place, text && h("p.wrong", {}, icon("warn"), text)); } };
}
