// The customer key of an export: made here, in the browser, so that a lost answer never loses a key.
// @ts-check
import { md5 } from "./md5.js";

export const ALGORITHM = "AES256";
const HEADER = "x-amz-server-side-encryption-customer-";

/** 32 random bytes as base64. */
export const makeKey = () => base64(crypto.getRandomValues(new Uint8Array(32)));

/** The base64 of the MD5 of the key's bytes; null if the text is not a key: base64 of 32 bytes. */
export function md5OfKey(text) {
  const bytes = fromBase64(text);
  return bytes?.length === 32 ? base64(md5(bytes)) : null;
}

/** What a download sends. No key: an export that is not encrypted. */
export function keyHeaders(key) {
  return key ? { [`${HEADER}algorithm`]: ALGORITHM, [`${HEADER}key`]: key, [`${HEADER}key-MD5`]: md5OfKey(key) ?? "" } : {};
}

export const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
export function fromBase64(text) {
  try { return Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0)); } catch { return null; }
}
