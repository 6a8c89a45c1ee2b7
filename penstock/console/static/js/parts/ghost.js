// @ts-check
import { h } from "../dom.js";
/** Rows that hold the place while a list loads. */
export const ghostRows = (rows, columns) => Array.from({ length: rows }, (_, r) => h("tr", {}, Array.from({ length: columns }, (_, c) => h("td", {}, h("div.ghost", { share: 40 + (r * 31 + c * 47) % 50 })))));
