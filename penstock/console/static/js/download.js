// Downloads an export: streamed to the browser's disk, each part checked against the manifest while it comes, resumed
// after a break at the part that was cut short. Never more than one part in memory.
// @ts-check
import { pause, Problem } from "./api.js";
import { keyHeaders } from "./customer-key.js";
import * as manifests from "./manifest.js";
import { stage } from "./parts/staged-files.js";

const MOST_BREAKS = 30;
const BASE = new URL(".", document.baseURI);

/** A URL of the service's own storage, at the address this page was loaded from; others as they are. */
export function reachable(url) {
  const found = new URL(url, BASE), at = found.pathname.indexOf("/storage/");
  return found.searchParams.has("X-Penstock-Signature") ? new URL(found.pathname.slice(at + 1) + found.search, BASE).href : found.href;
}

async function ask(url, key, headers, signal) {
  let answer;
  try { answer = await fetch(reachable(url), { headers: { ...keyHeaders(key), ...headers }, signal, cache: "no-store", credentials: "omit" }); } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ code: "no_answer", detail: "The store does not answer.", hint: "Check the connection, then try again." });
  }
  if (answer.ok) return answer;
  const code = /<Code>([^<]+)<\/Code>/.exec(await answer.text())?.[1] ?? `http_${answer.status}`;
  const expired = answer.status === 403 && code === "AccessDenied";
  throw new Problem({ code, status: answer.status, detail: expired ? "The store refuses this download." : `The store answered ${answer.status} (${code}).`,
    hint: expired ? "The key is not that of the file, or the download has ended. Check both." : "Try again. If it stays, ask your administrator." });
}

/** The manifest as text. Without a key for exports that are not encrypted. */
export const fetchManifest = async (url, key, signal) => (await ask(url, key, {}, signal)).text();

/**
 * @param {{task: import("penstock-api").Task, key: string, publicKey: string, signal: AbortSignal, progress: (bytes: number, total: number, state: string) => void}} options
 * @returns {Promise<{file: Blob, name: string, events: number, isChecked: boolean, isSigned: boolean, drop: () => Promise<void>}>}
 */
export async function download({ task, key, publicKey, signal, progress }) {
  const url = task.attributes.download_url ?? "", text = await fetchManifest(task.attributes.manifest_url ?? "", key, signal);
  const manifest = manifests.read(text), isChecked = manifests.canCheck();
  const isSigned = isChecked && await manifests.checkSignature(text, publicKey);
  if (isChecked) await manifests.checkRoot(manifest);
  const staged = await stage(task.uuid);
  try {
    const name = await receive({ url, key, manifest, isChecked, staged, signal, progress });
    return { file: await staged.finish(), name, events: manifest.events, isChecked, isSigned, drop: staged.drop };
  } catch (error) {
    await staged.drop();
    throw error;
  }
}

async function receive({ url, key, manifest, isChecked, staged, signal, progress }) {
  const { parts, size } = manifest;
  let done = 0, breaks = 0, name = "", etag = "";
  while (done < parts.length) {
    const from = parts[done].offset;
    try {
      const answer = await ask(url, key, from ? { Range: `bytes=${from}-`, ...(etag ? { "If-Match": etag } : {}) } : {}, signal);
      if (from && answer.status !== 206) throw new manifests.Damaged("The store does not resume downloads.");
      name ||= nameOf(answer);
      etag ||= answer.headers.get("etag") ?? "";
      for await (const bytes of whole(answer.body, parts.slice(done).map((part) => part.size), (got) => progress(from + got, size, ""))) {
        if (isChecked) await manifests.checkPart(parts[done], bytes);
        await staged.write(bytes);
        done++;
        breaks = 0;
      }
    } catch (error) {
      const isBreak = error instanceof TypeError || error instanceof Cut || (error instanceof Problem && error.isPassing);
      if (signal.aborted || !isBreak || ++breaks > MOST_BREAKS) throw error instanceof TypeError || error instanceof Cut ? new Problem({ code: "no_answer", detail: "The connection broke again and again.", hint: "Try again later, or use the lines below." }) : error;
      progress(from, size, "The connection broke. Going on where it stopped.");
      await pause(Math.min(5000, 300 * 2 ** Math.min(breaks, 5)), signal);
    }
  }
  return name;
}

/** The body ended before all parts had come. */
class Cut extends Error {}

/** A stream as blocks of the given sizes, each whole. */
async function* whole(stream, sizes, got) {
  const reader = stream.getReader();
  let rest = new Uint8Array(0), total = 0;
  try {
    for (const size of sizes) {
      const block = new Uint8Array(size);
      let filled = 0;
      while (filled < size) {
        if (!rest.length) {
          const { value, done } = await reader.read();
          if (done) throw new Cut();
          rest = value;
          total += value.length;
          got(total);
        }
        const taken = rest.subarray(0, size - filled);
        block.set(taken, filled);
        filled += taken.length;
        rest = rest.subarray(taken.length);
      }
      yield block;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function nameOf(answer) {
  const header = answer.headers.get("content-disposition") ?? "", coded = /filename\*=UTF-8''([^;]+)/i.exec(header)?.[1];
  const name = coded ? decodeURIComponent(coded) : /filename="([^"]+)"/.exec(header)?.[1];
  return (name || "events.jsonl.gz").replace(/[\\/:*?"<>|\p{Cc}\p{Cf}]/gu, "_");
}
