// The help sheet: how to write a query, and the keys.
// @ts-check
import { h } from "../dom.js";
import { dialog } from "../overlay.js";

const KEYS = [["/", "Go to the query"], ["t", "Choose the time"], ["e", "Export these events"], ["↑ ↓", "Move through the events"], ["Enter", "Open or close the event"], ["g x", "Exports (g s Search, g q Quota, g f Fields)"], ["?", "This help"], ["Esc", "Close what is open"]];
const SYNTAX = [["user.name:alice", "equals; capitals count"], ["message:\"failed password\"", "holds the phrase"], ["host.name:web-*", "begins with"], ["source.ip:10.0.0.0/8", "is in the network"], ["destination.port:>1024", "more than; also >= < <="], ["event.duration:[1 TO 9]", "from … to, both included"], ["user.name:*", "has a value"], ["alice", "in any field"], ["a AND b, a OR b, NOT a", "in capitals; side by side means AND"]];

export function help() {
  if (document.querySelector("dialog.help")) return;
  dialog({ title: "Help", look: ".help", body: h("div.stack", {},
    h("h3", {}, "Writing a query"), h("table.syntax", {}, h("tbody", {}, SYNTAX.map(([a, b]) => h("tr", {}, h("td", {}, a), h("td", {}, b))))),
    h("h3", {}, "Keys"), h("dl.keys", {}, KEYS.flatMap(([a, b]) => [h("dt", {}, a.split(" ").map((k) => h("kbd", {}, k))), h("dd", {}, b)])),
    h("p.hint", {}, "Single keys work while you are not typing. Account turns them off."),
    h("p.hint", {}, h("a", { href: "docs", target: "_blank", rel: "noreferrer" }, "The API’s documentation"))) });
}
