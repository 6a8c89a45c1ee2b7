// The audit: who did what. For ADMIN.
// @ts-check
import { h, fill } from "../dom.js";
import { blank } from "../overlay.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { ghostRows } from "../parts/ghost.js";
import { head, findBox, card, list } from "../parts/listing.js";
import { me } from "../state.js";

const PAGE = 100;
const COLUMNS = /** @type {[string, string?][]} */ ([["Time"], ["Who"], ["What"], ["Community"], ["About"]]);
const GROUPS = [["", "Everything"], ["search_job.", "Searches"], ["export.", "Exports"], ["events.", "Events sent"], ["apikey.", "API keys"], ["community.", "Communities"]];

export default function auditPage({ signal, fail }) {
  let match = "", total = 0, asked = 0;
  /** @type {any[] | null} */
  let entries = null;
  const body = h("div.stack");
  const action = h("select.input", { "aria-label": "What", onchange: () => load() }, GROUPS.map(([value, word]) => h("option", { value }, word)));
  function draw() {
    if (!entries) return fill(body, card("Audit", list("Audit", COLUMNS, ghostRows(6, 5))));
    if (!entries.length) return fill(body, h("div.card", {}, blank("lock", "Nothing yet", "Every search and export appears here.")));
    const rows = entries.filter((x) => words(x).toLowerCase().includes(match));
    fill(body, rows.length ? card("Audit", list("Audit", COLUMNS, rows.map(row))) : h("div.card", {}, blank("search", "No entry fits", "Change the words, or show older entries.")),
      entries.length < total && h("div.row", {}, h("button.btn", { type: "button", onclick: () => load(entries?.length) }, `Show older ones (${f.count(total - entries.length)} left)`)));
  }
  async function load(offset = 0) {
    const mine = ++asked;
    if (!offset) { entries = null; draw(); }
    try {
      const page = await api.audit({ action: action.value, limit: PAGE, offset }, signal);
      if (mine !== asked) return;
      entries = [...entries ?? [], ...page.items];
      total = page.total;
      draw();
    } catch (error) { if (!api.isAbort(error)) fail(error); }
  }
  load();
  return h("div.page", {}, head("Audit", `Who did what, newest first. Entries cannot be changed. Times are ${f.zoneName()}.`, findBox("Find in the audit", "Key, action or detail", (text) => { match = text; draw(); }), action), body);
}

const who = (x) => x.actor_name || x.actor;
const about = (x) => Object.entries(x.detail).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${f.plain(value)}`).join(", ");
const words = (x) => `${x.at} ${who(x)} ${x.action} ${x.object_uuid ?? ""} ${about(x)}`;
const community = (x) => me.communities.find((one) => one.uuid === x.community_uuid)?.name ?? x.community_uuid ?? "";

function row(x) {
  return h("tr", {}, h("td.mono.tight", { "data-th": "Time" }, f.stamp(x.at)), h("td.q", { "data-th": "Who" }, h("bdi", {}, f.clip(f.plain(who(x)), 100))), h("td.lead.tight", {}, x.action), h("td.q", { "data-th": "Community" }, f.clip(f.plain(community(x)), 100)),
    h("td.mono.q.note", {}, f.clip(f.plain(about(x)), 300), x.object_uuid && h("div.muted", {}, f.clip(f.plain(x.object_uuid), 100))));
}
