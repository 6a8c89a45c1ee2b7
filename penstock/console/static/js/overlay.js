// Popovers, dialogs, blank states. All native: the browser keeps focus, Escape and the top layer.
// @ts-check
import { h, icon, iconButton } from "./dom.js";

/** Opens content next to the button; on a phone it becomes a sheet at the bottom. */
export function popover(button, content, label) {
  document.querySelector(".pop")?.remove();
  // The press that closed it by being outside must not open it again.
  if (performance.now() - Number(button.closedAt ?? -1e9) < 250) return null;
  const box = h("div.pop.sheet", { popover: "auto", role: "dialog", "aria-label": label }, content);
  document.body.append(box);
  box.showPopover();
  place(box, button);
  button.setAttribute("aria-expanded", "true");
  box.addEventListener("toggle", (e) => {
    if (e.newState !== "closed") return;
    button.setAttribute("aria-expanded", "false");
    button.closedAt = performance.now();
    if (!document.activeElement || document.activeElement === document.body || box.contains(document.activeElement)) button.focus();
    setTimeout(() => box.remove());
  });
  (box.querySelector("[data-focus]") ?? box.querySelector("button, input, a"))?.focus();
  return box;
}
function place(box, button) {
  const r = button.getBoundingClientRect(), w = box.offsetWidth, tall = box.offsetHeight;
  box.style.left = `${Math.max(8, Math.min(r.left, innerWidth - w - 8))}px`;
  box.style.top = `${r.bottom + 6 + tall > innerHeight ? Math.max(8, innerHeight - tall - 8) : r.bottom + 6}px`;
}

let dialogs = 0;
/** @param {{title: string, body: any, foot?: any, look?: string, stay?: boolean}} options `stay`: Escape does not close it */
export function dialog({ title, body, foot, look = "", stay = false }) {
  const id = `dialog-${++dialogs}`;
  const box = h(`dialog${look}`, { "aria-labelledby": id },
    h("header", {}, h("h2.grow", { id }, title), !stay && iconButton("close", "Close", () => box.close(), "btn.quiet.icon")),
    h("div", { class: look.includes("drawer") ? "body" : "in" }, body), foot && h("footer", {}, foot));
  document.body.append(box);
  box.addEventListener("cancel", (e) => { if (stay) e.preventDefault(); });
  // Browsers close on a second Escape even when the first was refused, so refuse the key itself too.
  if (stay) box.addEventListener("keydown", (e) => { if (e.key === "Escape") e.preventDefault(); });
  box.addEventListener("close", () => box.remove());
  if (!stay) box.addEventListener("pointerdown", (e) => { if (e.target === box && look.includes("drawer")) box.close(); });
  box.showModal();
  return box;
}

export function blank(mark, title, text, ...actions) {
  return h("div.blank", {}, icon(mark, 28), h("h2", {}, title), h("p", {}, text), actions.length ? h("div.row.wrap", {}, actions) : null);
}

export function notice(look, mark, ...content) {
  return h(`div.notice${look && `.${look}`}`, look === "bad" ? { role: "alert" } : {}, icon(mark), h("div.grow", {}, content));
}

/** A refusal as the service words it: sentence, next step, code small behind them. */
export function problemNotice(problem) {
  return notice("bad", "warn", h("p", {}, problem.detail), h("p", {}, problem.hint, " ", problem.code && h("code.small.muted", {}, problem.code)));
}

const STATES = {
  running: ["busy", "busy", "Running"], pending: ["", "clock", "Waiting"], ready: ["good", "check", "Ready"], failed: ["bad", "fail", "Failed"],
  canceled: ["", "stop", "Canceled"], expired: ["warn", "clock", "Expired"], done: ["good", "check", "Done"],
  good: ["good", "check", "Working"], warn: ["warn", "warn", "Look at this"], bad: ["bad", "fail", "Not working"],
};
/** Status: icon, word and colour. */
export function badge(state, word) {
  const [look, mark, own] = STATES[state];
  return h(`span.badge${look && `.${look}`}`, {}, icon(mark, 13), word ?? own);
}
