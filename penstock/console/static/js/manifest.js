// The manifest of an export: its parts, its signature. The same rules as penstock/evidence.
// @ts-check
import { fromBase64 } from "./customer-key.js";

const FORMAT = "penstock-manifest/1";

/**
 * @typedef {{number: number, offset: number, size: number, sha256: string, events: number}} Part
 * @typedef {{events: number, size: number, parts: Part[], root_sha256: string, signature: {public_key: string, value: string}}} Manifest
 */

/** Something does not hold; the message says what. */
export class Damaged extends Error {}

/** Whether this browser lets a page check anything: hashing wants https or localhost. */
export const canCheck = () => Boolean(globalThis.crypto?.subtle);

/** @param {string} text @returns {Manifest} Raises Damaged if it is no manifest of a known format. */
export function read(text) {
  let found;
  try { found = JSON.parse(text); } catch { throw new Damaged("This is not a Penstock manifest."); }
  if (found?.format !== FORMAT || !Array.isArray(found.parts) || !found.parts.length) throw new Damaged("This is not a manifest that this console knows.");
  return found;
}

/**
 * Checks the manifest's signature, and that it is this service's.
 * @returns {Promise<boolean>} false: this browser does not know Ed25519
 */
export async function checkSignature(text, publicKey) {
  const { signature } = read(text), raw = fromBase64(signature?.public_key ?? ""), value = fromBase64(signature?.value ?? "");
  if (!raw || !value) throw new Damaged("The manifest carries no signature.");
  if (publicKey && signature.public_key !== publicKey) throw new Damaged("The manifest is signed by another service.");
  let key;
  try { key = await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]); } catch { return false; }
  const good = await crypto.subtle.verify({ name: "Ed25519" }, key, value, new TextEncoder().encode(canonical(text)));
  if (!good) throw new Damaged("The manifest’s signature does not fit its content.");
  return true;
}

/** What is signed: the members but `signature`, names sorted, no spaces; numbers and texts as they stand in the file. */
export function canonical(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs) ?? [];
  let at = 0;
  function value(isTop = false) {
    const token = tokens[at++];
    if (token === "{") {
      /** @type {[string, string][]} */
      const members = [];
      while (tokens[at] !== "}") {
        if (tokens[at] === ",") at++;
        const name = tokens[at];
        at += 2;   // the name and its colon
        const inner = value();
        if (!(isTop && name === '"signature"')) members.push([name, inner]);
      }
      at++;
      return `{${members.sort(([a], [b]) => byCodePoint(JSON.parse(a), JSON.parse(b))).map(([name, inner]) => `${name}:${inner}`).join(",")}}`;
    }
    if (token === "[") {
      const items = [];
      while (tokens[at] !== "]") { if (tokens[at] === ",") at++; items.push(value()); }
      at++;
      return `[${items.join(",")}]`;
    }
    if (token === undefined) throw new Damaged("The manifest ends too early.");
    return token;
  }
  return value(true);
}
/** Python sorts by code point, JavaScript by UTF-16 unit. */
function byCodePoint(a, b) {
  const x = Array.from(a, (c) => c.codePointAt(0) ?? 0), y = Array.from(b, (c) => c.codePointAt(0) ?? 0);
  for (let n = 0; n < Math.min(x.length, y.length); n++) if (x[n] !== y[n]) return x[n] - y[n];
  return x.length - y.length;
}

export const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, "0")).join("");
export const sha256 = async (bytes) => hex(await crypto.subtle.digest("SHA-256", bytes));

/** Raises Damaged unless these bytes are what was exported as this part. */
export async function checkPart(part, bytes) {
  if (await sha256(bytes) !== part.sha256) throw new Damaged(`Part ${part.number} (from byte ${part.offset}) is not what was exported.`);
}

/** Raises Damaged unless the parts' digests give the manifest's root. @param {Manifest} manifest */
export async function checkRoot(manifest) {
  const joined = Uint8Array.from(manifest.parts.flatMap((part) => part.sha256.match(/../g)?.map((x) => parseInt(x, 16)) ?? []));
  if (await sha256(joined) !== manifest.root_sha256) throw new Damaged("The digests of the parts do not give the manifest’s root.");
}
