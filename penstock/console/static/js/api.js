// The public API, one function an endpoint. Every failure is one type, Problem.
// @ts-check
import { session, signOut } from "./state.js";

/** @typedef {import("penstock-api").SearchJob} SearchJob */
/** @typedef {import("penstock-api").Task} Task */

const BASE = new URL("v1/", document.baseURI);
const JOBS = "sic/conf/events/search/jobs";
const NO_ANSWER = "no_answer";

/** What went wrong, as the service says it; `code` is stable. */
export class Problem extends Error {
  /** @param {{code: string, detail: string, hint?: string, status?: number, [more: string]: any}} document */
  constructor(document) {
    super(document.detail);
    this.code = document.code;
    this.detail = document.detail;
    this.hint = document.hint ?? "";
    this.status = document.status ?? 0;
    this.more = document;
  }
  /** The service could not be reached or is starting: worth another try. */
  get isPassing() { return this.code === NO_ANSWER || [502, 503, 504].includes(this.status); }
}

/** Called with every answer (true) and silence (false): the shell shows a bar. @type {(answers: boolean) => void} */
let listener = () => {};
export function onAnswer(heard) { listener = heard; }
/** Told when the service refuses the key. */
let refusal = () => {};
export function onRefusal(heard) { refusal = heard; }

/**
 * @param {string} method @param {string} path below v1/
 * @param {{query?: Record<string, any>, body?: any, signal?: AbortSignal, headers?: Record<string, string>, token?: string, exact?: boolean}} [options] `exact`: numbers to the letter
 * @returns {Promise<any>}
 */
export async function call(method, path, { query = {}, body, signal, headers = {}, token, exact = false } = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  const sent = { Authorization: `Bearer ${token ?? session.token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers };
  let answer, text;
  try {
    answer = await fetch(url, { method, signal, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store", credentials: "omit", redirect: "error" });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    listener(false);
    throw new Problem({ code: NO_ANSWER, detail: "Penstock does not answer.", hint: "Exports go on; nothing is lost. Check the connection, then try again." });
  }
  listener(true);
  if (answer.ok) return text ? (exact ? parseExactly(text) : JSON.parse(text)) : null;
  const problem = problemOf(answer, text);
  if (problem.status === 401 && token === undefined) { signOut(true); refusal(); }
  throw problem;
}

function problemOf(answer, text) {
  try {
    const document = JSON.parse(text);
    if (document && typeof document.code === "string") return new Problem({ ...document, status: answer.status });
  } catch { /* not ours: a proxy's page */ }
  return new Problem({ code: `http_${answer.status}`, status: answer.status, detail: `The service answered ${answer.status}.`, hint: "Try again. If it stays, ask your administrator." });
}

/** A number that JavaScript would change (1.0, 20 digits) stays raw JSON, where the browser can do that. */
function parseExactly(text) {
  const raw = /** @type {any} */ (JSON).rawJSON;
  if (!raw) return JSON.parse(text);
  return JSON.parse(text, /** @type {any} */ ((_, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source ? raw(context.source) : value));
}

export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** Waits; rejects when the signal is aborted. */
export const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  const stop = () => { clearTimeout(timer); reject(new DOMException("left", "AbortError")); };
  if (signal?.aborted) return reject(new DOMException("left", "AbortError"));
  const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(undefined); }, milliseconds);
  signal?.addEventListener("abort", stop, { once: true });
});

/** As pause, and on until the page is looked at. */
export async function pauseUntilSeen(milliseconds, signal) {
  await pause(milliseconds, signal);
  while (document.hidden) await Promise.race([pause(60_000, signal), new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }))]);
}

/** Asks again until the service answers, ever more slowly, at most every 5 seconds. */
export async function persist(ask, signal) {
  for (let wait = 500; ; wait = Math.min(5000, wait * 2)) {
    try { return await ask(); } catch (error) {
      if (!(error instanceof Problem && error.isPassing)) throw error;
    }
    await pause(wait, signal);
  }
}

/** An optional answer: null where the service does not know the path. */
export async function ifKnown(asked) {
  try { return await asked; } catch (error) {
    if (error instanceof Problem && error.code === "not_found") return null;
    throw error;
  }
}

const encode = encodeURIComponent;
/** @returns {Promise<import("penstock-api").Me>} */
export const me = (token) => call("GET", "me", { token });
/** @returns {Promise<SearchJob>} */
export const startSearch = (body, signal) => call("POST", JOBS, { body, signal });
/** @returns {Promise<SearchJob>} */
export const search = (uuid, signal) => call("GET", `${JOBS}/${encode(uuid)}`, { signal });
export const cancelSearch = (uuid) => call("POST", `${JOBS}/${encode(uuid)}/cancel`);
/** @returns {Promise<import("penstock-api").EventPage>} */
export const events = (uuid, limit, offset, signal) => call("GET", `${JOBS}/${encode(uuid)}/events`, { query: { limit, offset, flat: true }, signal, exact: true });
/** @returns {Promise<import("penstock-api").Histogram>} */
export const histogram = (uuid, signal) => call("GET", `${JOBS}/${encode(uuid)}/histogram`, { signal });
/** @returns {Promise<import("penstock-api").FoundFieldPage>} */
export const searchFields = (uuid, match, signal) => call("GET", `${JOBS}/${encode(uuid)}/fields`, { query: { match, limit: 200 }, signal });
/** @returns {Promise<import("penstock-api").Estimate>} */
export const estimate = (uuid, body, signal) => call("POST", `${JOBS}/${encode(uuid)}/export/estimate`, { body, signal });
/** @returns {Promise<import("penstock-api").StartedExport>} */
export const startExport = (uuid, body, idempotencyKey) => call("POST", `${JOBS}/${encode(uuid)}/export`, { body, headers: { "Idempotency-Key": idempotencyKey } });
/** @returns {Promise<import("penstock-api").TriedDestination>} */
export const tryDestination = (body, signal) => call("POST", "destinations/try", { body, signal });
/** @returns {Promise<Task>} */
export const task = (uuid, signal) => call("GET", `tasks/${encode(uuid)}`, { signal });
/** @returns {Promise<import("penstock-api").TaskPage>} */
export const tasks = (query, signal) => call("GET", "tasks", { query, signal });
/** @returns {Promise<Task>} */
export const cancelTask = (uuid) => call("POST", `tasks/${encode(uuid)}/cancel`);
/** @returns {Promise<import("penstock-api").Quota>} */
export const quota = (community, signal) => call("GET", `communities/${encode(community)}/quota`, { signal });
/** @returns {Promise<import("penstock-api").QuotaDays>} */
export const quotaDays = (community, signal) => call("GET", `communities/${encode(community)}/quota/days`, { signal });
/** @returns {Promise<import("penstock-api").FieldPage>} */
export const fields = (community, signal) => call("GET", `communities/${encode(community)}/fields`, { signal });
/** @returns {Promise<import("penstock-api").CommonValues>} */
export const fieldValues = (community, name, prefix, signal) => call("GET", `communities/${encode(community)}/field-values`, { query: { field: name, prefix }, signal });
/** @returns {Promise<import("penstock-api").PresetPage>} */
export const presets = (signal) => call("GET", "field-presets", { signal });
/** @returns {Promise<import("penstock-api").AuditPage>} */
export const audit = (query, signal) => call("GET", "audit", { query, signal });
/** @returns {Promise<import("penstock-api").HealthReport>} */
export const health = (signal) => call("GET", "health", { signal });
/** @returns {Promise<import("penstock-api").ManifestKey>} */
export const manifestKey = (signal) => call("GET", "manifest-key", { signal });
