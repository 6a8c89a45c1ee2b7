// Fields of the community: what can be searched and exported.
// @ts-check
import { h, fill, iconButton, copy } from "../dom.js";
import { blank } from "../overlay.js";
import { go } from "../router.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { knownFields, kind } from "../parts/known-fields.js";
import { fieldName } from "../parts/terms.js";
import { ghostRows } from "../parts/ghost.js";
import { head, findBox, list } from "../parts/listing.js";

const PAGE = 200;
const COLUMNS = /** @type {[string, string?][]} */ ([["Name"], ["Type"], ["Meaning"], ["Files", "num"], ["Do", "sr"]]);

export default function fieldsPage({ signal, fail }) {
  let match = "", type = "", scope = "held", most = PAGE;
  /** @type {import("penstock-api").FieldInfo[] | null} */
  let fields = null;
  const body = h("div.stack"), about = h("span", {}, "Reading the fields");
  const reset = () => { most = PAGE; draw(); };
  const types = h("select.input", { "aria-label": "Type", onchange: () => { type = types.value; reset(); } }, h("option", { value: "" }, "All types"));
  const scopes = h("select.input", { "aria-label": "Which fields", onchange: () => { scope = scopes.value; reset(); } }, h("option", { value: "held" }, "In your events"), h("option", { value: "" }, "All known"));

  function draw() {
    if (!fields) return fill(body, h("div.card", {}, list("Fields", COLUMNS, ghostRows(9, 5))));
    const rows = fields.filter((x) => (!scope || x.files > 0) && (!type || x.type === type) && `${x.name} ${x.description}`.toLowerCase().includes(match));
    if (!fields.some((x) => x.files > 0) && scope) return fill(body, h("div.card", {}, blank("fields", "No fields yet", "Fields appear with the first events. Send some with the command line: penstock ingest FILE")));
    fill(body, rows.length ? h("div.card", {}, list("Fields", COLUMNS, rows.slice(0, most).map(row))) : h("div.card", {}, blank("search", "No field fits", `Nothing holds “${f.clip(f.plain(match), 60)}”. Try a part of the name, such as ip or user.`)),
      rows.length > most && h("div.row", {}, h("button.btn", { type: "button", onclick: () => { most += PAGE; draw(); } }, `Show more (${f.count(rows.length - most)} left)`)));
  }
  draw();
  knownFields().then((found) => {
    if (signal.aborted) return;
    fields = found;
    about.textContent = `${f.plural(found.filter((x) => x.files > 0).length, "field")} came in with this community’s events.`;
    fill(types, h("option", { value: "" }, "All types"), [...new Set(found.map((x) => x.type))].sort().map((x) => h("option", { value: x }, x)));
    draw();
  }, (error) => { if (!api.isAbort(error)) fail(error); });
  return h("div.page", {}, head("Fields", about, findBox("Find a field", "Name or meaning", (text) => { match = text; reset(); }), types, scopes), body);
}

function row(x) {
  const name = f.clip(f.plain(x.name), 300);
  return h("tr", {}, h("td.lead.mono", {}, h("bdi", {}, name)), h("td", { "data-th": "Type" }, h("span", { title: x.type }, kind(x.type)[1])), h("td.meaning", { "data-th": "Meaning" }, x.description), h("td.num", { "data-th": "Files" }, f.count(x.files)),
    h("td.num", {}, iconButton("copy", `Copy ${name}`, () => copy(x.name, "Name copied")), iconButton("search", `Find events that have ${name}`, () => go("search", { q: `${fieldName(x.name)}:*` }))));
}
