// Exports of the community, newest first.
// @ts-check
import { h, fill, segments } from "../dom.js";
import { blank, badge } from "../overlay.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { session } from "../state.js";
import { ghostRows } from "../parts/ghost.js";
import { head, findBox, card, list } from "../parts/listing.js";
import { stateOf, whoOf } from "../parts/task-words.js";

const GROUPS = { All: null, Running: ["running", "pending"], Ready: ["ready"], Ended: ["failed", "canceled", "expired"] };
const PAGE = 50;
const COLUMNS = /** @type {[string, string?][]} */ ([["Query"], ["State"], ["Events", "num"], ["Size", "num"], ["Asked by"], ["Started"], ["What next"]]);

export default function exportsPage({ signal, fail }) {
  let group = "All", match = "", total = 0;
  /** @type {import("penstock-api").Task[]} */
  let tasks = [];
  let isRead = false;
  const body = h("div.stack");
  const find = findBox("Find an export", "Query or key", (text) => { match = text; draw(); });
  const states = segments("State", Object.keys(GROUPS).map((name) => [name, () => { group = name; draw(); }, name === group]));

  function draw() {
    if (!isRead) return fill(body, card("Exports", list("Exports", COLUMNS, ghostRows(5, 7))));
    if (!tasks.length) return fill(body, h("div.card", {}, blank("export", "No exports yet", "Search for events, then press Export. Only your key opens the file.", h("a.btn.solid", { href: "#/search" }, "Go to search"))));
    const rows = tasks.filter((x) => (!GROUPS[group] || GROUPS[group].includes(stateOf(x))) && words(x).includes(match));
    fill(body, rows.length ? card("Exports", list("Exports", COLUMNS, rows.map(row))) : h("div.card", {}, blank("search", "No export fits", "Change the state or the words.")),
      tasks.length < total && h("div.row", {}, h("button.btn", { type: "button", onclick: more }, `Show older ones (${f.count(total - tasks.length)} left)`)));
  }
  async function load(offset, limit) {
    const page = await api.tasks({ community_uuid: session.community, limit, offset }, signal);
    total = page.total;
    return page.items;
  }
  const more = () => load(tasks.length, PAGE).then((added) => { tasks = [...tasks, ...added]; draw(); }, (error) => { if (!api.isAbort(error)) fail(error); });
  async function follow() {
    tasks = await load(0, PAGE);
    isRead = true;
    draw();
    while (tasks.length) {
      const active = tasks.some((x) => ["running", "pending"].includes(stateOf(x)));
      await api.pauseUntilSeen(active ? 2000 : 15_000, signal);
      const fresh = await api.persist(() => load(0, Math.min(100, tasks.length)), signal);
      const changed = JSON.stringify(fresh) !== JSON.stringify(tasks.slice(0, fresh.length));
      tasks = [...fresh, ...tasks.slice(fresh.length)];
      if (changed && !body.contains(document.activeElement)) draw();
    }
  }
  draw();
  follow().catch((error) => { if (!api.isAbort(error)) fail(error); });
  return h("div.page", {}, head("Exports", "Newest first. A ready file can be downloaded for the time shown.", find, states), body);
}

const words = (task) => `${queryOf(task)} ${whoOf(task)}`.toLowerCase();
const queryOf = (task) => f.plain(task.attributes.term ?? "") || "All events";

function row(task) {
  const state = stateOf(task), { attributes } = task;
  return h("tr", {}, h("td.q.lead", {}, h("a.mono", { href: `#/task/${encodeURIComponent(task.uuid)}` }, h("bdi", {}, f.clip(queryOf(task), 200)))), h("td", { "data-th": "State" }, badge(state)),
    h("td.num", { "data-th": "Events" }, f.count(state === "ready" || state === "expired" ? task.progress : task.total)), h("td.num", { "data-th": "Size" }, attributes.export_size_compressed ? f.bytes(attributes.export_size_compressed) : "–"),
    h("td.tight", { "data-th": "Asked by" }, whoOf(task) || "–"), h("td.tight", { "data-th": "Started" }, f.moment(task.created_at)), h("td.q.note", {}, next(task, state)));
}

/** The next step, or what happened. */
function next(task, state) {
  const share = task.total ? f.percent(Math.floor(task.progress / task.total * 100)) : "";
  if (state === "pending") return "Waits for a worker";
  if (state === "running") return [share, task.eta_seconds !== null && `about ${f.lasts(task.eta_seconds)} left`].filter(Boolean).join(", ");
  if (state === "ready") return task.attributes.expire_at ? `Download works for ${f.lasts((f.ms(task.attributes.expire_at) - Date.now()) / 1e3)}` : "In your bucket";
  if (state === "expired") return `Download ended ${f.moment(task.attributes.expire_at)}`;
  return f.clip(f.plain(task.message ?? ""), 300);
}
