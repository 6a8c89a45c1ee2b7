// The search page puts the parts together; the parts live beside it.
// @ts-check
import { h, fill, icon, copy, say } from "../dom.js";
import { blank, problemNotice } from "../overlay.js";
import { address, go, replace } from "../router.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { session, looks, setLook, may } from "../state.js";
import { histogram } from "../charts.js";
import { queryBox } from "../parts/query-box.js";
import { timeButton, forApi, parse, rangeWords } from "../parts/time-picker.js";
import { fieldPanel } from "../parts/field-panel.js";
import { eventTable } from "../parts/event-table.js";
import { term, refine as refined, withoutLast } from "../parts/terms.js";

const COLUMNS = ["event.action", "source.ip", "user.name", "host.name", "message"];
const FIRST_EVENTS = 200;
const DEFAULT_FROM = "-7d";
const WIDER = [["-24h", "the last 24 hours"], ["-7d", "the last 7 days"], ["-30d", "the last 30 days"], ["-260w", "the last 5 years"]];

/** What the last search of this tab found: it stays on the page while a query is refused. @type {any} */
let last = null;

export default function searchPage({ params, signal }) {
  const at = { q: params.get("q") ?? "", from: valid(params.get("from")) ?? DEFAULT_FROM, to: valid(params.get("to")) ?? "now", columns: columnsOf(params) };
  const own = () => ({ q: at.q, from: at.from, to: at.to, cols: at.columns.join() });
  const run = (change = {}) => { Object.assign(at, change); go("search", own()); };
  const refine = (name, value, isExcluded) => {
    const added = term(name, value);
    run({ q: refined(at.q, added, isExcluded) });
    say(`${isExcluded ? "Left out" : "Kept only"} ${f.clip(f.plain(added), 200)}`);
  };
  const toggle = (name) => {
    at.columns = at.columns.includes(name) ? at.columns.filter((x) => x !== name) : [...at.columns, name];
    setLook("columns", at.columns);
    replace("search", own());
    table.columns(at.columns);
    panel.columns(at.columns);
  };

  const query = queryBox(at.q, { onsearch: (q) => run({ q }) });
  const ask = h("form.ask", { role: "search", onsubmit: (e) => { e.preventDefault(); run({ q: query.value() }); } }, query.node,
    timeButton(at, (from, to) => run({ q: query.value(), from, to })), h("button.btn.solid", { type: "submit" }, icon("search"), "Search"));
  const panel = fieldPanel({ columns: at.columns, refine, toggle });
  let job = { uuid: "" };
  const table = eventTable({ columns: at.columns, refine, toggle, more: async (offset) => (await api.events(job.uuid, FIRST_EVENTS, offset, signal)).items });
  const chart = histogram({ onrange: (a, b) => run({ from: new Date(a).toISOString(), to: new Date(b).toISOString() }) });
  const split = h("div.split", {}, panel.node, table.node);
  table.fields.addEventListener("click", () => { panel.node.classList.toggle("shown"); split.classList.toggle("wide"); });
  const found = h("div"), below = h("div.below", {});
  const page = h("div.search", {}, h("h1.sr", {}, "Search events"), ask, query.under, found, below);

  const ready = () => { if (!chart.isConnected) fill(below, chart, split); };
  const end = (node) => { fill(found); fill(below, node); };

  async function start() {
    const counter = counting();
    fill(found, counter.node);
    ready();
    const begun = performance.now();
    const body = { term: at.q, term_lang: "dork", earliest_time: forApi(at.from), latest_time: forApi(at.to), community_uuids: [session.community] };
    const started = await api.startSearch(body, signal);
    job = started;
    signal.addEventListener("abort", () => { if (!isOver(job)) api.cancelSearch(job.uuid).catch(() => {}); });
    query.note(notesOf(started));
    const done = await follow(started, (soFar) => { counter.show(soFar); chart.show(soFar.histogram, false); });
    if (done.status === 3) return end(blank("stop", "You stopped this search", "Nothing was lost. Search again when you like.", again()));
    if (done.status === 4) return end(blank("warn", "The search stopped early", `${done.error ?? "The event lake did not answer."} Your query is fine: try again, or choose a shorter time.`, again()));
    await show(done, performance.now() - begun);
  }
  const again = () => h("button.btn.solid", { type: "button", onclick: () => run() }, icon("retry"), "Search again");

  /** Asks for the job until it is over; `tell` hears what is counted so far. */
  async function follow(started, tell) {
    let now = started;
    for (let wait = 60; !isOver(now); wait = Math.min(1000, wait * 1.5)) {
      await api.pauseUntilSeen(wait, signal);
      now = job = await api.persist(() => api.search(started.uuid, signal), signal);
      if (now.so_far) tell(now.so_far);
    }
    return now;
  }
  async function show(done, milliseconds) {
    query.note(notesOf(done));
    if (!done.total) return end(nothing());
    fill(found, total(done.total, `events in ${rangeWords(at.from, at.to).replace(/^L/, "the l")}`, `counted in ${f.lasts(milliseconds / 1e3)}`, done));
    ready();
    last = { uuid: done.uuid, total: done.total, community: session.community };
    await load(done.total);
  }
  /** What the last search found, and whatever of it was not there yet when the page went on. */
  function load(total) {
    const of = last;
    const histogram = of.histogram ?? api.histogram(of.uuid, signal), events = of.events ?? api.events(of.uuid, FIRST_EVENTS, 0, signal).then(({ items }) => items);
    return Promise.all([
      panel.show(of.uuid, signal),
      Promise.resolve(histogram).then((counted) => { of.histogram = counted; chart.show(counted, true); }),
      Promise.resolve(events).then((items) => { of.events = items; table.show(items, total ?? items.length); }),
    ]);
  }

  function total(n, words, more, done) {
    return h("div.found", {}, h("div.total.grow", { role: "status", "aria-label": "Total" }, h("strong", {}, f.count(n)), h("span", {}, words, more && h("span.wide-only", {}, ` · ${more}`))),
      done && h("button.btn.quiet.wide-only", { type: "button", onclick: () => copy(new URL(address("search", own()), location.href).href, "Link copied") }, icon("link"), "Copy link"),
      done && may("SIC_MASSIVE_EXPORT_EVENTS") && h("button.btn.soft", { type: "button", "data-key": "e", onclick: () => openExport(done) }, icon("export"), "Export", h("kbd", { "aria-hidden": "true" }, "e")));
  }
  function counting() {
    const number = h("strong", {}, "…"), words = h("span", {}, "counting"), line = h("div.thin", {}, h("i.endless", {}));
    const node = h("div.stack.tight", {}, h("div.found", {}, h("div.total.grow", { role: "status", "aria-label": "Total" }, number, words),
      h("button.btn", { type: "button", onclick: () => { if (job.uuid) api.cancelSearch(job.uuid).catch(() => {}); } }, icon("stop"), "Stop counting")), line);
    function show(soFar) {
      number.textContent = f.count(soFar.total);
      words.textContent = `events so far · ${f.percent(Math.floor(soFar.share * 100))} looked at`;
      fill(line, h("i", { share: soFar.share * 100 }));
    }
    return { node, show };
  }
  function nothing() {
    const length = (parse(at.to) ?? 0) - (parse(at.from) ?? 0), wider = WIDER.find(([from]) => Date.now() - (parse(from) ?? 0) > length * 1.01), shorter = withoutLast(at.q);
    return [h("div.found", {}, h("div.total", { role: "status", "aria-label": "Total" }, h("strong", {}, "0"), "events")),
      blank("search", "No events match", `Nothing in ${rangeWords(at.from, at.to).replace(/^L/, "the l")} fits. Try a wider range, or fewer terms.`,
        wider && h("button.btn.soft", { type: "button", onclick: () => run({ from: wider[0], to: "now" }) }, `Search ${wider[1]}`),
        shorter && h("button.btn", { type: "button", onclick: () => run({ q: shorter }) }, "Drop the last term"))];
  }
  /** The query is refused: what the search before found stays, without Export. */
  function refuse(problem) {
    query.refuse(problem);
    if (last?.community !== session.community) return end(null);
    fill(found, total(last.total, "events of the search before", "", null));
    ready();
    load(null).catch((error) => { if (!api.isAbort(error)) end(null); });
  }

  start().catch((error) => {
    if (api.isAbort(error) || !session.token) return;
    if (error instanceof api.Problem && typeof error.more.caret === "string") return refuse(error);
    if (error instanceof api.Problem && error.isPassing) return end(blank("off", "Penstock does not answer", "New searches wait. Exports go on; nothing is lost.", again()));
    if (error instanceof api.Problem) return end(h("div.stack", {}, problemNotice(error), h("div.row", {}, again())));
    console.error(error);
    end(blank("warn", "The results could not be shown", "Load the page again; your query stays in its address.", again()));
  });
  return page;

  async function openExport(done) {
    const { openExport: open } = await import("../parts/export-drawer.js");
    open({ job: done, range: rangeWords(at.from, at.to), columns: at.columns });
  }
}

const isOver = (job) => !job.uuid || job.status >= 2;
const notesOf = (job) => job.notes ?? [];
const valid = (time) => (time && parse(time) !== null ? time : null);

function columnsOf(params) {
  if (params.has("cols")) return params.get("cols").split(",").filter((name) => name && name !== "@timestamp");
  return Array.isArray(looks.columns) && looks.columns.length ? [...looks.columns] : [...COLUMNS];
}
