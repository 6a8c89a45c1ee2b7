// The key step: the one moment in which the customer key is shown.
// @ts-check
import { h, fill, icon, copy, saveAs } from "../dom.js";
import { dialog } from "../overlay.js";

/** Shows the key; goes on only after the box is ticked. */
export function keyStep(secret, goOn) {
  const wrong = h("div"), saved = h("input", { type: "checkbox", id: "saved" });
  const key = h("textarea.input", { "aria-label": "Encryption key", readonly: true, rows: 1, value: secret, spellcheck: "false", onfocus: () => key.select() });
  const next = () => {
    if (saved.checked) { removeEventListener("beforeunload", hold); box.close(); return goOn(); }
    fill(wrong, h("p.wrong", { role: "alert" }, icon("warn"), "Save the key, then tick the box."));
    saved.focus();
  };
  const hold = (e) => e.preventDefault();
  addEventListener("beforeunload", hold);
  const box = dialog({ title: "Save this key now", stay: true, body: h("div.stack", {},
    h("p", {}, "Your export has started. This key opens its file. We show it only once and do not keep it: without it nobody can read the file, not even us."),
    h("div.key-box.own", {}, h("div.all", {}, key), h("button.btn", { type: "button", onclick: () => copy(secret, "Key copied") }, icon("copy"), "Copy"), h("button.btn", { type: "button", onclick: () => saveAs(`${secret}\n`, "penstock-key.txt") }, icon("file"), "Save as file")),
    h("div.stack.tight", {}, wrong, h("label.check", {}, saved, "I have saved the key")),
    h("button.btn.solid.big", { type: "button", onclick: next }, "Continue")) });
  box.dataset.stay = "true";   // turning the page must not lose the key either
  key.focus();
}
