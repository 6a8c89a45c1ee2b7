// What lists share: the page's head, a find box, rows that come in pages.
// @ts-check
import { h, icon } from "../dom.js";

export const head = (title, about, ...right) => h("div.head", {}, h("div", {}, h("h1", {}, title), h("p.muted.small", {}, about)), right.length > 0 && h("div.row.wrap", {}, right));

export function findBox(label, placeholder, oninput, more = {}) {
  const input = h("input.input", { "aria-label": label, placeholder, oninput: () => oninput(input.value.toLowerCase().trim()), "data-key": "/", ...more });
  return h("div.find", {}, icon("search", 14), input);
}

export const card = (label, ...content) => h("div.card.scroll", { tabindex: 0, role: "region", "aria-label": `${label}, scrolls` }, content);

/** @param {string} label @param {[string, string?][]} columns heading and class @param {any} rows */
export const list = (label, columns, rows) => h("table.list.folds", { "aria-label": label }, h("thead", {}, h("tr", {}, columns.map(([word, look]) => h(look === "num" ? "th.num" : "th", { scope: "col" }, look === "sr" ? h("span.sr", {}, word) : word)))), h("tbody", {}, rows));
