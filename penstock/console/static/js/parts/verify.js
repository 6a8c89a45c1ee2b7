// Checks a file that somebody has, against its manifest: every part, the signature, the gzip stream, the lines.
// @ts-check
import { h, fill, icon } from "../dom.js";
import { notice } from "../overlay.js";
import * as api from "../api.js";
import * as f from "../format.js";
import * as manifests from "../manifest.js";

/** The drop zone. `manifestText`: gives the manifest's text, or null when it cannot be had. */
export function verifyBox({ manifestText, signal }) {
  const answer = h("div", { role: "status", "aria-label": "Check" });
  const input = h("input.sr", { type: "file", id: "check-file", multiple: true, onchange: () => check([...input.files]) });
  const drop = h("div.drop", {}, icon("file", 22), h("p", {}, "Drop the file here to check it against its manifest. Drop the manifest with it if you have it."), h("label.link", { for: "check-file" }, "Or choose it"), input);
  for (const [name, over] of /** @type {[string, boolean][]} */ ([["dragover", true], ["dragleave", false], ["drop", false]])) drop.addEventListener(name, (e) => {
    e.preventDefault();
    drop.classList.toggle("over", over);
    if (name === "drop") check([...e.dataTransfer.files]);
  });
  async function check(files) {
    const said = files.find((x) => x.name.endsWith(".json")), file = files.find((x) => x !== said);
    if (!file) return fill(answer, notice("warn", "warn", h("p", {}, "Choose the .jsonl.gz file. The manifest alone is not enough.")));
    if (!manifests.canCheck()) return fill(answer, notice("warn", "warn", h("p", {}, "Browsers check files only on https or localhost."), h("p", {}, "Use the command line: penstock verify FILE MANIFEST")));
    try {
      const text = said ? await said.text() : await manifestText();
      if (text === null) return fill(answer, notice("warn", "warn", h("p", {}, "The manifest is missing."), h("p", {}, "Drop it together with the file, or give the key above so that it can be fetched.")));
      const bar = h("progress.progress", { "aria-label": "Check progress", max: file.size, value: 0 });
      fill(answer, h("div.stack.tight", {}, h("p.hint", {}, `Checking ${f.clip(f.plain(file.name), 80)}, ${f.bytes(file.size)}`), bar));
      const found = await verify(file, text, (bytes) => { bar.value = bytes; }, signal);
      fill(answer, notice("good", "check", h("p", {}, h("strong", {}, `The file is whole and unchanged: ${f.plural(found.events, "event")}${found.isSigned ? ", signed by this service" : ""}.`)), !found.isSigned && h("p", {}, "This browser cannot check the signature. The command line can: penstock verify.")));
    } catch (/** @type {any} */ error) {
      if (api.isAbort(error)) return;
      if (!(error instanceof manifests.Damaged || error instanceof api.Problem)) console.error(error);
      fill(answer, notice("bad", "fail", h("p", {}, h("strong", {}, error instanceof manifests.Damaged ? "This is not the exported file." : "The file could not be checked.")), h("p", {}, String(error.message))));
    } finally {
      input.value = "";
    }
  }
  return h("div.stack.tight", {}, drop, answer);
}

/** @returns {Promise<{events: number, isSigned: boolean}>} Raises Damaged. */
export async function verify(file, text, progress, signal) {
  const manifest = manifests.read(text), { public_key } = await api.manifestKey(signal);
  const isSigned = await manifests.checkSignature(text, public_key);
  await manifests.checkRoot(manifest);
  if (file.size !== manifest.size) throw new manifests.Damaged(`The file has ${f.count(file.size)} bytes, the manifest says ${f.count(manifest.size)}.`);
  const inflate = new DecompressionStream("gzip"), lines = countLines(inflate.readable), writer = inflate.writable.getWriter();
  lines.catch(() => {});
  for (const part of manifest.parts) {
    signal?.throwIfAborted();
    const bytes = new Uint8Array(await file.slice(part.offset, part.offset + part.size).arrayBuffer());
    await manifests.checkPart(part, bytes);
    await writer.write(bytes).catch(() => { throw new manifests.Damaged("The gzip stream is damaged."); });
    progress(part.offset + part.size);
  }
  await writer.close().catch(() => { throw new manifests.Damaged("The gzip stream has no end."); });
  const events = await lines;
  if (events !== manifest.events) throw new manifests.Damaged(`The file holds ${f.count(events)} events, the manifest says ${f.count(manifest.events)}.`);
  return { events, isSigned };
}

async function countLines(stream) {
  const reader = stream.getReader();
  let lines = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return lines;
    for (let at = value.indexOf(10); at >= 0; at = value.indexOf(10, at + 1)) lines++;
  }
}
