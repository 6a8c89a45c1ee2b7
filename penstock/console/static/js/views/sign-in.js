// Sign in: one field. The key is tried before it is kept.
// @ts-check
import { h, fill, icon } from "../dom.js";
import { notice, problemNotice } from "../overlay.js";
import { Problem } from "../api.js";
import { session, me, signIn, signOut } from "../state.js";
import { who } from "../parts/who.js";

export default function signInPage({ icon: mark, done }) {
  const wrong = h("div");
  const key = h("input.input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", "data-focus": true, "aria-describedby": "key-hint key-wrong" });
  const stay = h("input", { type: "checkbox" });
  const enter = h("button.btn.solid.big", { type: "submit" }, "Sign in");
  const refuse = (node) => { key.setAttribute("aria-invalid", "true"); fill(wrong, node); key.focus(); };
  const sentence = (text) => h("p.wrong", { id: "key-wrong", role: "alert" }, icon("warn"), text);

  async function send(e) {
    e.preventDefault();
    const token = key.value.trim();
    if (!token) return refuse(sentence("Paste your API key."));
    if (/[^\x21-\x7e]/.test(token)) return refuse(sentence("This is not an API key: it holds characters that no key has."));
    enter.setAttribute("aria-busy", "true");
    try {
      await who(token);
      if (!me.communities.length) return refuse(sentence("This key belongs to no community. Ask your administrator for one that does."));
      signIn(token, stay.checked);
      done();
    } catch (error) {
      signOut(session.ended);
      if (!(error instanceof Problem)) throw error;
      refuse(error.status === 401 ? sentence("This key is not known, or was revoked. Check that all of it was pasted.") : problemNotice(error));
    } finally {
      enter.removeAttribute("aria-busy");
    }
  }

  return h("div.door", {}, h("form", { novalidate: true, onsubmit: send },
    h("div.brand", {}, h("img", { src: mark, alt: "" }), "Penstock"),
    h("div.card", {}, h("div.stack", {},
      h("h1", {}, session.ended ? "Please sign in again" : "Sign in"),
      session.ended && h("p.small", {}, "Your key was revoked or has ended. This page is kept: you come back to it."),
      h("div.field", {}, h("label", { for: "key" }, "API key"), h("p.hint", { id: "key-hint" }, "Your administrator gives it to you. On your own machine, ", h("code", {}, "penstock init"), " prints the first one."), wrong, key),
      h("label.check", {}, stay, h("span", {}, "Stay signed in until I close this tab")),
      enter)),
    notice("", "lock", h("p", {}, "The key stays in this tab. It is never put in the address or in the browser’s lasting storage."))));
}
