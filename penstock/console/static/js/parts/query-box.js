// The query: a text box that grows, suggestions, the caret under a mistake, and notes with repairs.
// @ts-check
import { h, fill, icon, say, debounce } from "../dom.js";
import { plain } from "../format.js";
import { knownFields, commonValues } from "./known-fields.js";
import { word as quoted, fieldName } from "./terms.js";

const MOST = 8;

/** @param {string} text @param {{onsearch: (query: string) => void}} options */
export function queryBox(text, { onsearch }) {
  let chosen = -1, asked = 0;
  /** @type {{insert: string, shown: string, about: string}[]} */
  let list = [];
  const box = h("textarea.input", { id: "query", rows: 1, spellcheck: "false", autocomplete: "off", autocapitalize: "off", placeholder: "All events. For example user.name:alice", "aria-label": "Query", "aria-autocomplete": "list", "data-key": "/", value: text });
  const menu = h("ul.suggest", { role: "listbox", id: "suggest", "aria-label": "Suggestions", hidden: true });
  const under = h("div", { hidden: true });

  /** What stands before the caret, back to a blank or a parenthesis; nothing inside quotes. */
  function word() {
    const before = box.value.slice(0, box.selectionStart);
    const open = (before.replace(/\\./gs, "__").match(/"/g) ?? []).length % 2;
    return open ? (/[^\s()]*:"(?:[^"\\]|\\.)*$/s.exec(before)?.[0] ?? "") : (/(?:[^\s()"\\]|\\.|(?<=:)"[^"]*")*$/s.exec(before)?.[0] ?? "");
  }
  async function offer() {
    const mine = ++asked, typed = word(), colon = typed.replace(/\\./gs, "__").indexOf(":");
    if (!typed || document.activeElement !== box) return put([]);
    const found = colon < 0 ? await fields(typed) : await values(typed.slice(0, colon), typed.slice(colon + 1));
    if (mine === asked && document.activeElement === box) put(found);
  }
  async function fields(typed) {
    const wanted = typed.replace(/^[-!]/, "").toLowerCase(), known = await knownFields().catch(() => []);
    const starts = known.filter((x) => x.name.toLowerCase().startsWith(wanted)), holds = known.filter((x) => !x.name.toLowerCase().startsWith(wanted) && x.name.toLowerCase().includes(wanted));
    const byUse = (a, b) => Number(b.files > 0) - Number(a.files > 0);
    return [...starts.sort(byUse), ...holds.sort(byUse)].slice(0, MOST).map((x) => ({ insert: `${fieldName(x.name)}:`, shown: plain(x.name), about: x.description }));
  }
  async function values(name, typed) {
    if (/^[<>[/(]/.test(typed)) return [];
    const prefix = typed.replace(/^"|"$/g, "").replace(/\\(.)/gs, "$1"), real = name.replace(/\\(.)/gs, "$1");
    const found = await commonValues(real, prefix);
    return found.filter((x) => x.name !== prefix).slice(0, MOST).map((x) => ({ insert: `${name}:${quoted(x.name)}`, shown: `${plain(real)}:${plain(x.name)}`, about: `${Math.round(x.value * 10) / 10} %` }));
  }
  function put(found) {
    list = found;
    chosen = -1;
    draw();
    if (list.length) say(`${list.length} suggestions. Arrow down to choose.`);
  }
  function draw() {
    menu.hidden = !list.length;
    fill(menu, list.map((x, n) => h("li", { role: "option", id: `suggest-${n}`, "aria-selected": String(n === chosen), onpointerdown: (e) => { e.preventDefault(); take(n); } }, h("span.cut", {}, x.shown), h("span.cut", {}, x.about))));
    if (list.length) box.setAttribute("aria-controls", "suggest"); else box.removeAttribute("aria-controls");
    if (chosen >= 0) box.setAttribute("aria-activedescendant", `suggest-${chosen}`); else box.removeAttribute("aria-activedescendant");
  }
  function take(n) {
    const at = box.selectionStart, { insert } = list[n];
    box.setRangeText(insert, at - word().length, at, "end");
    put([]);
    if (insert.endsWith(":")) offer();
  }

  const soon = debounce(offer, 60);
  box.addEventListener("input", () => { box.removeAttribute("aria-invalid"); soon(); });
  box.addEventListener("focus", () => { knownFields().catch(() => {}); });
  box.addEventListener("blur", () => { asked++; put([]); });
  box.addEventListener("keydown", (e) => {
    if (e.isComposing) return;
    if (list.length && (e.key === "ArrowDown" || e.key === "ArrowUp")) { e.preventDefault(); chosen = (chosen + (e.key === "ArrowDown" ? 1 : chosen < 0 ? 0 : -1) + list.length) % list.length; draw(); }
    else if (list.length && chosen >= 0 && (e.key === "Enter" || e.key === "Tab")) { e.preventDefault(); take(chosen); }
    else if (e.key === "Escape" && list.length) { e.stopPropagation(); e.preventDefault(); asked++; put([]); }
    else if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); asked++; put([]); onsearch(box.value.trim()); }
  });

  function tell(node, isWrong) {
    under.hidden = !node;
    fill(under, node);
    if (isWrong) { box.setAttribute("aria-invalid", "true"); box.setAttribute("aria-describedby", "query-error"); }
    else { box.removeAttribute("aria-invalid"); box.removeAttribute("aria-describedby"); }
  }
  return {
    node: h("div.query", {}, icon("search"), box, h("kbd", { "aria-hidden": "true" }, "/"), menu), under,
    value: () => box.value.trim(),
    /** Shows what is wrong with the query, at its place. */
    refuse: (problem) => { tell(mistake(problem), true); box.focus(); },
    /** Shows what was probably meant. @param {{code: string, detail: string, hint: string}[]} list */
    note: (list) => tell(list.length ? notes(list, box.value, onsearch) : null, false),
  };
}

function mistake(problem) {
  const caret = String(problem.more.caret ?? ""), [line, arrow = ""] = caret.split("\n");
  return h("div.caret", { id: "query-error", role: "alert" }, h("p.wrong", {}, icon("warn"), problem.detail),
    caret && caretLines(plain(line), arrow, problem.more.position), h("p", {}, problem.hint));
}
function caretLines(line, arrow, position) {
  const pre = h("pre", { tabindex: 0, role: "region", "aria-label": `The query, with the mistake at character ${Number(position) + 1}` }, `${line}\n${arrow.slice(0, -1)}`, h("b", {}, "^"));
  requestAnimationFrame(() => { const mark = pre.lastChild; pre.scrollLeft = Math.max(0, mark.offsetLeft + 40 - pre.clientWidth); });
  return pre;
}

function notes(list, query, onsearch) {
  return h("ul.notes", { "aria-label": "Notes on the query" }, list.map((note) => h("li", {}, icon("info"), h("span", {}, codes(`${note.detail} ${note.hint}`)),
    repairs(note, query).map(([word, better]) => h("button.link", { type: "button", onclick: () => onsearch(better) }, word)))));
}

/** A sentence, with what stands between backticks as code. */
const codes = (sentence) => sentence.split("`").map((text, n) => (n % 2 ? h("code", {}, plain(text)) : text));

/** Ways to apply a note: [words of the button, the repaired query]. */
function repairs(note, query) {
  if (typeof note.replacement === "string") return [["Use this", note.replacement]];
  if (note.code === "looks_like_operator") {
    const better = query.replace(/(?<=\s)(and|or|not)(?=\s)/gi, (x) => x.toUpperCase());
    if (better !== query) return [["Use capitals", better]];
  }
  if (Array.isArray(note.suggestions) && typeof note.field === "string") {
    return note.suggestions.slice(0, 3).map((name) => [`Use ${name}`, query.replaceAll(`${fieldName(note.field)}:`, `${fieldName(name)}:`)]);
  }
  return [];
}
