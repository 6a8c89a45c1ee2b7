// Where a download lies until it is whole: in the browser's own disk space if it has some, else in pieces it keeps.
// @ts-check

const FOLDER = "downloads";
const KEPT_MS = 10 * 60_000;

/**
 * @typedef {{write: (bytes: Uint8Array) => Promise<void>, finish: () => Promise<Blob>, drop: () => Promise<void>}} Staged
 * @param {string} name unique
 * @returns {Promise<Staged>}
 */
export async function stage(name) {
  try { return await onDisk(name); } catch { return inPieces(); }
}

async function onDisk(name) {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
  const own = `${Date.now()}-${name}`, handle = await folder.getFileHandle(own, { create: true });
  const writer = await handle.createWritable();
  return {
    write: (bytes) => writer.write(/** @type {any} */ (bytes)),
    async finish() { await writer.close(); return handle.getFile(); },
    async drop() { await writer.abort().catch(() => {}); await folder.removeEntry(own).catch(() => {}); },
  };
}

/** Blobs: browsers move large ones to the disk. */
function inPieces() {
  /** @type {Blob[]} */
  let pieces = [];
  return {
    async write(bytes) { pieces.push(new Blob([/** @type {any} */ (bytes)])); },
    async finish() { return new Blob(pieces, { type: "application/gzip" }); },
    async drop() { pieces = []; },
  };
}

/** Removes what earlier downloads left: each held events. Those of the last minutes may still be on their way. */
export async function removeOld(olderThanMs = KEPT_MS) {
  const root = await navigator.storage?.getDirectory?.();
  if (!root) return;
  const folder = await root.getDirectoryHandle(FOLDER).catch(() => null);
  if (!folder) return;
  for await (const name of /** @type {any} */ (folder).keys()) if (Date.now() - Number(name.split("-")[0]) >= olderThanMs) await folder.removeEntry(name).catch(() => {});
}
