// Health in parts. For ADMIN.
// @ts-check
import { h, fill } from "../dom.js";
import { notice, badge } from "../overlay.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { head } from "../parts/listing.js";

const LOOK = { ok: "good", warning: "warn", failed: "bad" };
const NAMES = { api: "API", database: "Database", lake: "Event lake", storage: "File store", workers: "Workers" };

export default function healthPage({ signal, fail }) {
  const body = h("div.stack", {}, h("div.card", {}, h("ul.checks", {}, Array.from({ length: 5 }, () => h("li", {}, h("div.ghost", { share: 60 }), h("div.ghost", { share: 80 }))))));
  const when = h("span", {}, "Checking");
  async function follow() {
    for (;;) {
      const found = await api.health(signal);
      const off = found.parts.filter((x) => x.status !== "ok"), worst = off.some((x) => x.status === "failed");
      when.textContent = `Checked ${f.stamp(found.checked_at)} ${f.zoneName()}; again every 10 seconds.`;
      fill(body, notice(worst ? "bad" : off.length ? "warn" : "good", off.length ? "warn" : "check", h("p", {}, h("strong", {}, worst ? "Something does not work." : off.length ? `Penstock works. ${off.length === 1 ? "One thing needs" : `${off.length} things need`} a look.` : "All is well."))),
        h("div.card", {}, h("ul.checks", {}, found.parts.map((x) => h("li", {}, h("strong", {}, NAMES[x.name] ?? x.name), h("p", {}, x.detail), badge(LOOK[x.status] ?? "warn"))))));
      await api.pauseUntilSeen(10_000, signal);
    }
  }
  follow().catch((error) => { if (!api.isAbort(error)) fail(error); });
  return h("div.page", {}, head("Health", when), body, h("p.small.muted", {}, "For machines: ", h("code", {}, "/healthz"), ", ", h("code", {}, "/readyz"), ", ", h("code", {}, "/metrics")));
}
