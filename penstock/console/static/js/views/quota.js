// The community's month: bytes left, what counts, bytes by day.
// @ts-check
import { h, fill } from "../dom.js";
import { dayBars } from "../charts.js";
import { notice } from "../overlay.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { session, communityName } from "../state.js";
import { head, list } from "../parts/listing.js";

export default function quotaPage({ signal, fail }) {
  const body = h("div.stack", {}, h("section.card", { "aria-label": "This month" }, h("div.in.stack", {}, h("div.ghost", { share: 30 }), h("div.ghost", { share: 100 }), h("div.ghost", { share: 50 }))));
  Promise.all([api.quota(session.community, signal), api.ifKnown(api.quotaDays(session.community, signal))]).then(([quota, days]) => fill(body, content(quota, days)), (error) => { if (!api.isAbort(error)) fail(error); });
  return h("div.page", {}, head("Quota", `Compressed bytes that ${communityName() || "this community"} may export in a month.`), body);
}

function content(q, history) {
  const share = (n) => Math.min(100, n / Math.max(1, q.limit_bytes) * 100), left = Math.max(0, q.limit_bytes - q.used_bytes - q.reserved_bytes), resets = f.ms(q.resets_at);
  const name = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" }).format(resets - 1);
  const rules = [["A month", f.bytes(q.limit_bytes)], q.active_task_uuid && ["Reserved by", h("a", { href: `#/task/${q.active_task_uuid}` }, "The export that runs")], ["Counted", "Exports that finished"], ["Not counted", "Failed and canceled exports"]].filter(Boolean);
  return [left <= 0 && notice("bad", "warn", h("p", {}, h("strong", {}, "This month’s quota is used up.")), h("p", {}, `New exports start again on ${f.moment(resets)} ${f.zoneName()}. Ready files stay. Your administrator can raise the limit.`)),
    h("div.columns", {}, h("section.card", { "aria-label": name }, h("header", {}, h("h2.grow", {}, name), h("span.small.muted", {}, `Starts again in ${f.lasts((resets - Date.now()) / 1e3)}`)), h("div.in.gauge", {},
      h("p.big", {}, f.bytes(left), h("small", {}, ` left of ${f.bytes(q.limit_bytes)}`)),
      h("div.meter", { role: "meter", "aria-label": "Quota used", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share(q.used_bytes + q.reserved_bytes)), "aria-valuetext": `${f.bytes(q.used_bytes)} used and ${f.bytes(q.reserved_bytes)} reserved of ${f.bytes(q.limit_bytes)}` }, h("i", { share: share(q.used_bytes) }), h("i.held", { share: share(q.reserved_bytes) })),
      h("div.legend", {}, h("span", {}, h("i"), `Used ${f.bytes(q.used_bytes)}`), h("span", {}, h("i.held"), `Reserved ${f.bytes(q.reserved_bytes)}`), h("span", {}, h("i.free"), `Left ${f.bytes(left)}`)))),
    h("section.card", { "aria-label": "Rules" }, h("header", {}, h("h2", {}, "What counts")), h("div.in", {}, h("dl.facts", {}, rules.map(([a, b]) => [h("dt", {}, a), h("dd", {}, b)]))))),
    history && byDay(history)];
}

function byDay(history) {
  const today = new Date().getUTCDate() - 1, past = history.items.slice(0, today + 1);
  const word = (day) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }).format(Date.parse(`${day}T00:00:00Z`));
  return h("section.card", { "aria-label": "By day" }, h("header", {}, h("h2.grow", {}, "By day"), h("span.small.muted", {}, "UTC")), !past.some((x) => x.exports > 0) ? h("div.in", {}, h("p.muted", {}, "No export has finished this month yet.")) : h("div.in.stack", {}, dayBars(history.items.map((x) => x.bytes), today),
    h("details", {}, h("summary", {}, "Show as a table"), list("Bytes by day", [["Day"], ["Exports", "num"], ["Exported", "num"]], past.map((x) => h("tr", {}, h("td.lead", {}, word(x.day)), h("td.num", { "data-th": "Exports" }, f.count(x.exports)), h("td.num", { "data-th": "Exported" }, f.bytes(x.bytes))))))));
}
