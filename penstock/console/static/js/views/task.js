// One export: waiting, running, ready, failed, canceled or expired. The page asks again every second while it runs.
// @ts-check
import { h, fill, icon, saveAs, toast } from "../dom.js";
import { notice, badge, problemNotice } from "../overlay.js";
import { address } from "../router.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { customerKeys, may } from "../state.js";
import { md5OfKey } from "../customer-key.js";
import { download, fetchManifest } from "../download.js";
import { Damaged } from "../manifest.js";
import { scripts } from "../parts/scripts.js";
import { verifyBox } from "../parts/verify.js";
import { removeOld } from "../parts/staged-files.js";
import { destinationWords, stateOf, whoOf } from "../parts/task-words.js";

/** @typedef {import("penstock-api").Task} Task */
const ENCRYPTION = { "sse-c": "With your key", "sse-kms": "By the bucket’s KMS", "bucket-default": "As the bucket does", none: "None" };

export default async function taskPage({ id, signal, fail }) {
  /** @type {Task} */
  let task = await api.task(id, signal);
  const state = h("span"), main = h("div.stack"), side = h("div");
  const page = h("div.page", {}, h("div.head", {}, h("div", {}, h("a.small", { href: "#/exports" }, "All exports"), h("div.row.wrap", {}, h("h1", {}, `Export of ${f.moment(task.created_at)}`), state))),
    h("div.columns", {}, main, side));
  let shown = "", update = (/** @type {Task} */ _) => {};

  function show() {
    const now = stateOf(task);
    if (now !== shown) {
      shown = now;
      fill(state, badge(now));
      if (now === "running" || now === "pending") { const part = progress(task, (next) => { task = next; show(); }); update = part.update; fill(main, part.node); }
      else { update = () => {}; fill(main, now === "ready" ? ready(task, signal, () => show()) : ended(task, now)); }
      fill(side, facts(task));
    }
    update(task);
  }
  async function follow() {
    while (!isOver(task)) {
      await api.pauseUntilSeen(1000, signal);
      task = await api.persist(() => api.task(id, signal), signal);
      show();
    }
  }
  show();
  follow().catch((error) => { if (!api.isAbort(error)) fail(error); });
  return page;
}
const isOver = (task) => ["FINISHED", "FAILED", "CANCELED"].includes(task.status);

function progress(task, changed) {
  const bar = h("progress.progress", { "aria-label": "Export progress", max: 1 }), share = h("span.percent"), written = h("dd"), pace = h("dd"), left = h("dd"), problem = h("div");
  /** @type {{at: number, events: number}[]} */
  const seen = [];
  const update = (now) => {
    const total = Math.max(now.total, now.progress), done = total ? now.progress / total : 0;
    bar.max = total || 1;
    bar.value = now.progress;
    share.textContent = f.percent(Math.floor(done * 100));
    seen.push({ at: performance.now(), events: now.progress });
    if (seen.length > 10) seen.shift();
    const first = seen[0], last = seen[seen.length - 1], seconds = (last.at - first.at) / 1e3, rate = seconds > 0 ? (last.events - first.events) / seconds : 0;
    fill(written, f.count(now.progress), h("small", {}, ` of ${f.count(total)}`));
    fill(pace, rate > 0 ? [f.short(Math.round(rate)), h("small", {}, " events/s")] : "–");
    fill(left, now.status === "PENDING" ? "waiting" : now.eta_seconds === null ? "–" : [f.lasts(now.eta_seconds), h("small", {}, " left")]);
  };
  async function cancel(button) {
    button.setAttribute("aria-busy", "true");
    try { changed(await api.cancelTask(task.uuid)); toast("The export is being canceled."); } catch (error) {
      if (!(error instanceof api.Problem)) throw error;
      fill(problem, problemNotice(error));
    } finally { button.removeAttribute("aria-busy"); }
  }
  const node = h("section.card", { "aria-label": "Progress" }, h("div.in.task-top", {}, problem, h("div.row", {}, share, h("span.grow"), h("button.btn.bad", { type: "button", onclick: (e) => cancel(e.currentTarget) }, icon("stop"), "Cancel export")), bar,
    h("dl.stats", {}, [["Written", written], ["Pace", pace], ["Time", left]].map(([word, dd]) => h("div.stat", {}, h("dt", {}, word), dd))), h("p.hint", {}, "You may close this page. The export goes on, and you find it under Exports.")));
  return { node, update };
}

/** A finished export within its window. */
function ready(task, signal, redraw) {
  const { attributes } = task, isOurs = Boolean(attributes.download_url) && !attributes.destination.startsWith("s3://");
  const wrong = h("div", { id: "file-key-wrong" }), field = h("input.input.mono", { id: "file-key", type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": "file-key-hint file-key-wrong" });
  const needsKey = Boolean(attributes.sse_customer_key_md5), wantsField = () => needsKey && !customerKeys.has(task.uuid);
  const stats = h("dl.stats", {}, [["Events", f.count(task.progress)], ["Size", f.bytes(attributes.export_size_compressed)], ["Took", task.started_at && task.ended_at ? f.lasts((f.ms(task.ended_at) - f.ms(task.started_at)) / 1e3) : "–"]].map(([a, b]) => h("div.stat", {}, h("dt", {}, a), h("dd", {}, b))));
  const status = h("div", { role: "status", "aria-label": "Download state" }), keyField = h("div");
  if (wantsField()) fill(keyField, h("div.field", {}, h("label", { for: "file-key" }, "Key of this file"), h("p.hint", { id: "file-key-hint" }, "You saved it when the export started. Its MD5 is ", h("code", {}, attributes.sse_customer_key_md5), "."), wrong, field));

  /** The key to use; "" for none needed; null after saying what is wrong. */
  function key() {
    if (!wantsField()) return customerKeys.get(task.uuid) ?? "";
    const typed = field.value.trim(), found = md5OfKey(typed);
    if (found !== attributes.sse_customer_key_md5) {
      field.setAttribute("aria-invalid", "true");
      fill(wrong, h("p.wrong", { role: "alert" }, icon("warn"), !typed ? "Paste the key of this file." : found ? "This is the key of another file." : "This is not a key. A key is base64 of 32 bytes: 44 characters."));
      field.focus();
      return null;
    }
    customerKeys.set(task.uuid, typed);
    fill(keyField);
    return typed;
  }
  /** @type {AbortController | null} */
  let running = null;
  async function start() {
    if (running) return;
    const found = key();
    if (found === null) return;
    const mine = running = new AbortController();
    signal.addEventListener("abort", () => mine.abort());
    const bar = h("progress.progress", { "aria-label": "Download progress", max: 1, value: 0 }), words = h("p.hint.grow", {}, "Asking for the manifest");
    fill(status, h("div.stack.tight", {}, bar, h("div.row", {}, words, h("button.btn", { type: "button", onclick: () => mine.abort() }, icon("stop"), "Stop"))));
    const tell = (bytes, total, state) => { bar.max = total; bar.value = bytes; words.textContent = state || `${f.bytes(bytes)} of ${f.bytes(total)}, checked while it comes`; };
    try {
      const { public_key } = await api.manifestKey(mine.signal);
      const got = await download({ task, key: found, publicKey: public_key, signal: mine.signal, progress: tell });
      saveAs(got.file, got.name);
      const checked = got.isChecked ? `It is whole and unchanged${got.isSigned ? ", and its manifest is signed by this service" : ""}.` : "Browsers check files only on https or localhost: this one was not checked.";
      fill(status, notice(got.isChecked ? "good" : "warn", got.isChecked ? "check" : "warn", h("p", {}, h("strong", {}, `${f.plural(got.events, "event")}, now among your downloads.`)), h("p", {}, checked)));
      setTimeout(() => { got.drop(); }, 60_000 + got.file.size / 20_000);
    } catch (error) {
      if (api.isAbort(error)) fill(status);
      else if (error instanceof api.Problem) fill(status, problemNotice(error));
      else if (error instanceof Damaged) fill(status, notice("bad", "fail", h("p", {}, h("strong", {}, "The download was stopped: it is not what was exported.")), h("p", {}, error.message)));
      else { console.error(error); fill(status, notice("bad", "fail", h("p", {}, "The download failed."), h("p", {}, "Is there room on the disk? Try again, or use the lines below."))); }
    } finally {
      running = null;
    }
  }
  async function manifest() {
    const found = key();
    if (found === null) return;
    try { saveAs(await fetchManifest(attributes.manifest_url, found, signal), `export_${task.uuid}.manifest.json`); } catch (error) {
      if (error instanceof api.Problem) fill(status, problemNotice(error));
    }
  }
  const manifestText = async () => (attributes.manifest_url && isOurs && (!wantsField() || md5OfKey(field.value.trim()) === attributes.sse_customer_key_md5) ? fetchManifest(attributes.manifest_url, wantsField() ? field.value.trim() : customerKeys.get(task.uuid) ?? "", signal) : null);
  const main = isOurs ? [keyField, h("div.row.wrap", {}, h("button.btn.solid.big", { type: "button", onclick: start }, icon("export"), "Download"), h("button.btn.big", { type: "button", onclick: manifest }, "Manifest"), countdown(attributes.expire_at, signal, redraw)), status]
    : notice("good", "check", h("p", {}, h("strong", {}, "The file is in your bucket.")), h("p", {}, needsKey ? "Fetch it from there with the key you saved." : "Fetch it from there; the bucket decrypts it for whoever may read it."));
  removeOld().catch(() => {});
  return [h("section.card", { "aria-label": "Download" }, h("div.in.stack", {}, stats, main)), scripts(task),
    h("section.card", { "aria-label": "Check a file" }, h("header", {}, h("h2", {}, "Check a file you have")), h("div.in", {}, verifyBox({ manifestText, signal })))];
}

function countdown(until, signal, over) {
  const node = h("span.small.muted");
  if (!until) return node;
  const timer = setInterval(tick, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  function tick() {
    const left = (f.ms(until) - Date.now()) / 1e3;
    node.textContent = `Works for ${f.lasts(left > 120 ? Math.floor(left / 60) * 60 : left)} more`;
    if (left <= 0) { clearInterval(timer); over(); }
  }
  tick();
  return node;
}

function ended(task, state) {
  const { attributes } = task;
  const [look, mark, what, then] = {
    failed: ["bad", "fail", task.message ?? "The export failed.", "No quota was used. Put right what it names, then export again."],
    canceled: ["", "stop", task.message ?? "The export was canceled.", "Its parts were removed, and its reserved quota is free again."],
    expired: ["warn", "clock", attributes.expire_at ? `The download ended on ${f.moment(attributes.expire_at)} ${f.zoneName()}.` : "The download has ended.", "Files stay for a while only. Export again to get the same events, with a new key."],
  }[state];
  const again = "term" in attributes ? address("search", { q: attributes.term, from: attributes.earliest_time, to: attributes.latest_time }) : "#/search";
  return [h("section.card", { "aria-label": "What happened" }, h("div.in.stack", {}, notice(look, mark, h("p", {}, h("strong", {}, what)), h("p", {}, then, " ", attributes.error_code && h("code.small.muted", {}, attributes.error_code))),
    h("div.row.wrap", {}, may("SIC_READ_INTAKES") && h("a.btn.solid", { href: again }, icon("retry"), "Search again to export"), h("a.btn", { href: "#/exports" }, "All exports"))))];
}

function facts(task) {
  const { attributes } = task;
  const rows = [
    "term" in attributes && ["Query", h("span.mono.small", {}, h("bdi", {}, f.plain(attributes.term) || "All events"))],
    "earliest_time" in attributes && ["Time", `${f.moment(attributes.earliest_time)} – ${f.moment(attributes.latest_time)} ${f.zoneName()}`],
    ["Fields", h("div.pick", {}, attributes.fields.slice(0, 60).map((x) => h("span.tag", {}, f.plain(x))), attributes.fields.length > 60 && `and ${f.count(attributes.fields.length - 60)} more`)],
    ["Where to", destinationWords(attributes.destination)],
    ["Encryption", ENCRYPTION[attributes.encryption] ?? attributes.encryption],
    attributes.sse_customer_key_md5 && ["Key’s MD5", h("span.mono.small", {}, attributes.sse_customer_key_md5)],
    whoOf(task) && ["Asked by", whoOf(task)],
    ["Started", `${f.moment(task.created_at)} ${f.zoneName()}`],
    ["Task", h("span.mono.small", {}, task.uuid)],
  ].filter(Boolean);
  return h("aside.card", { "aria-label": "About this export" }, h("header", {}, h("h2", {}, "About this export")), h("div.in", {}, h("dl.facts", {}, rows.map(([a, b]) => [h("dt", {}, a), h("dd", {}, b)]))));
}
