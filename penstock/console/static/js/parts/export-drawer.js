// From found events to a started export: fields, destination, estimate. The key step follows in key-dialog.js.
// @ts-check
import { h, fill, icon, debounce } from "../dom.js";
import { dialog, notice, problemNotice } from "../overlay.js";
import { go } from "../router.js";
import * as api from "../api.js";
import * as f from "../format.js";
import { customerKeys, me } from "../state.js";
import { makeKey, md5OfKey, ALGORITHM } from "../customer-key.js";
import { keyStep } from "./key-dialog.js";
import { knownFields } from "./known-fields.js";

const DEFAULT = ["@timestamp", "message"];
/** Ways to encrypt: [value, words]. Only the first has a key to save. `plain`: only where the operator allows it. */
const KEY = /** @type {[string, string]} */ (["sse-c", "With a key that only you hold"]), PLAIN = /** @type {[string, string]} */ (["none", "Not at all: whoever has the link can read it"]);
const OF_BUCKET = /** @type {[string, string][]} */ ([KEY, ["sse-kms", "With a key of the bucket’s KMS"], ["bucket-default", "As the bucket does by itself"]]);
const ABOUT = { network: ["Network", "Who talked to whom"], identity: ["Identity", "Who signed in, and how"], endpoint: ["Endpoint", "What ran where"] };

/** @param {{job: import("penstock-api").SearchJob, range: string, columns: string[]}} options */
export function openExport({ job, range, columns }) {
  const leaving = new AbortController();
  const fromTable = ["@timestamp", ...columns];
  let fields = DEFAULT, isOwn = false, isStarting = false, refusal = "";
  const chips = h("div"), estimate = h("dl.estimate", { "aria-live": "polite" }), problem = h("div"), refused = h("div"), bucket = h("div"), presets = h("div.choices.presets", {});

  // Fields
  const choice = (name, about, list, on = false) => h("label.choice", {}, h("input", { type: "radio", name: "preset", "aria-label": name, checked: on, onchange: () => choose(list) }), h("span", {}, name, h("small", {}, about, list ? ` · ${list.length} fields` : "")));
  function choose(list) {
    if (list) { fields = list; fill(chips, h("div.pick", { "aria-label": "Chosen fields", role: "group" }, list.map((x) => h("span.tag", {}, f.plain(x))))); } else fill(chips, ownList());
    guess();
  }
  function ownList() {
    const area = h("textarea.input.mono", { id: "own-fields", rows: 4, spellcheck: "false", oninput: () => read(), value: fields.join("\n") });
    const wrong = h("div", { id: "own-fields-wrong" }), found = h("ul.pick", {}), find = h("input.input", { id: "add-field", spellcheck: "false", autocomplete: "off", oninput: () => look() });
    area.setAttribute("aria-describedby", "own-fields-wrong");
    const read = () => { fields = area.value.split(/[\n,]+/).map((x) => x.trim()).filter(Boolean); guess(); };
    const add = (name) => { area.value = [...area.value.split(/[\n,]+/).map((x) => x.trim()).filter(Boolean), name].join("\n"); read(); find.focus(); };
    async function look() {
      const wanted = find.value.toLowerCase().trim(), known = wanted ? await knownFields().catch(() => []) : [];
      fill(found, known.filter((x) => x.name.toLowerCase().includes(wanted) && !fields.includes(x.name)).slice(0, 8).map((x) => h("li", {}, h("button.btn.quiet.tag", { type: "button", onclick: () => { add(x.name); look(); } }, icon("plus", 12), x.name))));
    }
    guessWrong = (text) => fill(wrong, text && h("p.wrong", {}, icon("warn"), text));
    return h("div.stack.tight", {}, h("div.field", {}, h("label", { for: "own-fields" }, "Your fields"), h("p.hint", {}, "One a line, or with commas. Paste works."), wrong, area),
      h("div.field", {}, h("label", { for: "add-field" }, "Add a field"), find, found));
  }
  /** Where a mistake in the own list is shown. @type {(text: string) => void} */
  let guessWrong = () => {};

  // Estimate: said before the button
  let asked = new AbortController();
  const guess = debounce(async () => {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    leaving.signal.addEventListener("abort", () => asked.abort());
    estimate.setAttribute("aria-busy", "true");
    try {
      showEstimate(await api.estimate(job.uuid, { fields, generate_customer_key: true }, signal));
    } catch (error) {
      if (api.isAbort(error)) return;
      fill(problem, error instanceof api.Problem ? problemNotice(error) : notice("bad", "warn", h("p", {}, "The estimate failed.")), h("p"));
    } finally {
      if (!signal.aborted) estimate.removeAttribute("aria-busy");
    }
  }, 150);
  function showEstimate(found) {
    const { quota } = found, left = quota ? quota.limit_bytes - quota.used_bytes - quota.reserved_bytes - found.estimated_size_compressed : null;
    const stat = (word, value) => h("div.stat", {}, h("dt", {}, word), h("dd", {}, value));
    fill(estimate, stat("Events", f.count(found.events)), stat("Size, about", f.bytes(found.estimated_size_compressed)), stat("Time, about", f.lasts(found.estimated_seconds)),
      left !== null && stat("Quota after", left <= 0 ? "none" : `${f.bytes(left)} left`));
    const ofFields = found.problems.find((x) => ["unknown_field", "wildcard_not_supported", "duplicate_field", "object_field", "empty_selection"].includes(x.code));
    guessWrong(ofFields ? `${ofFields.detail} ${ofFields.hint}` : "");
    const others = found.problems.filter((x) => x.code !== refusal && (x !== ofFields || !document.getElementById("own-fields")));
    fill(problem, others.map((x) => [problemNotice(x), h("p")]));
  }

  // Where to
  const input = (id, word, more = {}) => h("div.field", {}, h("label", { for: id }, word), h("input.input", { id, name: id, spellcheck: "false", autocomplete: "off", ...more }));
  const value = (id) => bucket.querySelector(`#${id}`)?.value.trim() || undefined;
  const settings = () => (isOwn ? { bucket_name: value("bucket"), prefix: value("prefix"), endpoint_url: value("endpoint"), region_name: value("region"), access_key_id: value("access"), secret_access_key: value("secret"), encryption: value("encryption"), kms_key_id: value("kms") } : {});
  const encryption = () => value("encryption") ?? KEY[0];
  function encryptions(ways) {
    const kms = h("div"), about = h("p.hint", { id: "encryption-hint" });
    const select = h("select.input", { id: "encryption", "aria-describedby": "encryption-hint", onchange: () => chosen() }, ways.map(([name, words]) => h("option", { value: name }, words)));
    function chosen() {
      about.textContent = select.value === "sse-c" ? "You save the key in the next step; without it nobody can read the file." : select.value === "none" ? "Choose this only for events that may be read by anybody." : "There is no key to save. Whoever may read the bucket’s objects can read the file.";
      fill(kms, select.value === "sse-kms" && input("kms", "KMS key (optional)", { placeholder: "The bucket’s own" }));
    }
    chosen();
    return h("div.stack.tight.all", {}, h("div.field", {}, h("label", { for: "encryption" }, "Encryption"), about, select), kms);
  }
  function destination(own) {
    isOwn = own;
    if (!own) return fill(bucket, me.mayBePlain && encryptions([KEY, PLAIN]));
    const tried = h("div.all", { role: "status", "aria-label": "Try" });
    fill(bucket, h("div.own", {}, input("bucket", "Bucket"), input("prefix", "Prefix (optional)"), input("endpoint", "Endpoint (optional)", { placeholder: "AWS", inputmode: "url" }), input("region", "Region (optional)"), input("access", "Access key ID"), input("secret", "Secret access key", { type: "password" }), encryptions(OF_BUCKET),
      h("div.all.row", {}, h("button.btn", { type: "button", onclick: (e) => tryIt(e.currentTarget, tried) }, "Try it"), h("span.hint", {}, "Writes one small object and removes it.")), tried));
  }
  async function tryIt(button, place) {
    button.setAttribute("aria-busy", "true");
    fill(place, h("p.hint", {}, "Trying"));
    try {
      const answer = await api.tryDestination(settings(), leaving.signal);
      fill(place, notice("good", "check", h("p", {}, `It works: wrote and removed a small object in ${f.lasts(answer.seconds)}.`)));
    } catch (error) {
      if (!api.isAbort(error)) fill(place, error instanceof api.Problem ? problemNotice(error) : null);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
  const where = (own, word, about) => h("label.choice", {}, h("input", { type: "radio", name: "to", "aria-label": word, checked: !own, onchange: () => destination(own) }), h("span", {}, word, h("small", {}, about)));

  // Start: the key is made here. A repeated press sends the same key under the same Idempotency-Key: one export, one key.
  const key = makeKey(), attempts = new Map();
  async function start(button) {
    if (isStarting) return;
    isStarting = true;
    button.setAttribute("aria-busy", "true");
    const needsKey = encryption() === KEY[0];
    const body = { fields, s3: { ...settings(), ...(needsKey ? { sse_customer_key: key, sse_customer_key_md5: md5OfKey(key), sse_customer_algorithm: ALGORITHM } : {}) } };
    refusal = "";
    fill(refused);
    const name = JSON.stringify(body);
    if (!attempts.has(name)) attempts.set(name, newUuid());
    try {
      const started = await api.startExport(job.uuid, body, attempts.get(name));
      box.close();
      if (!needsKey) return go(`task/${started.task_uuid}`);
      customerKeys.set(started.task_uuid, key);
      keyStep(key, () => go(`task/${started.task_uuid}`));
    } catch (error) {
      if (!(error instanceof api.Problem)) throw error;
      const active = error.more.task_uuid ?? error.more.active_task_uuid;
      // A place of its own: an estimate that comes later must neither take the refusal away nor say it again.
      refusal = error.code;
      fill(problem);
      fill(refused, problemNotice(error), active && h("p.small", {}, h("a", { href: `#/task/${active}` }, "Go to the export that runs")), h("p"));
      refused.scrollIntoView({ block: "nearest" });
    } finally {
      isStarting = false;
      button.removeAttribute("aria-busy");
    }
  }

  const body = h("div", {},
    h("section", {}, h("dl.facts", {}, h("dt", {}, "Events"), h("dd", {}, `${f.count(job.total)} · ${range}`), h("dt", {}, "Query"), h("dd.mono", {}, h("bdi", {}, f.plain(job.term) || "All events")))),
    h("section", {}, h("fieldset.stack.tight", {}, h("legend", {}, "Fields"), presets), chips),
    h("section", {}, h("fieldset.stack.tight", {}, h("legend", {}, "Where to"), h("div.choices.presets", {}, where(false, "Penstock", "Encrypted here. You download it within the time shown then."), where(true, "My bucket", "Any S3 storage."))), bucket));
  const foot = h("div", {}, problem, refused, estimate, h("div.row", {}, h("button.btn.solid.big.grow", { type: "button", onclick: (e) => start(e.currentTarget) }, "Start export"), h("button.btn.big", { type: "button", onclick: () => box.close() }, "Cancel")));
  const box = dialog({ title: "Export events", look: ".drawer", body, foot });
  box.addEventListener("close", () => leaving.abort());
  const draw = (list) => fill(presets, choice("Default fields", "Time and message", DEFAULT, true),
    list.map((p) => choice(ABOUT[p.name]?.[0] ?? p.title, ABOUT[p.name]?.[1] ?? p.title, p.fields)), choice("From the table", "The columns you see", fromTable), choice("My own list", "Type, paste or search", null));
  api.presets(leaving.signal).then((page) => draw(page.items), () => draw([]));
  choose(DEFAULT);
  destination(false);
}

/** crypto.randomUUID wants https; this does not. */
function newUuid() {
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
