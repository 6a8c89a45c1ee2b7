// Elements. Text enters the page only here, and only as text nodes or attribute values.
// @ts-check
import { ICONS } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: h("button.btn.soft", {onclick, "aria-label": "…"}, "Copy").
 * @param {string} spec tag and classes
 * @param {Record<string, any>} [props] attributes; `on…` listens, `share` sets the width of a bar in per cent
 * @param {...any} children nodes, texts, lists of them; null and false are left out
 * @returns {any} the element; `any`, since its kind follows from a string
 */
export function h(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  apply(node, props);
  return add(node, children);
}

/** An SVG element. @returns {any} */
export function s(tag, props = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  apply(node, props);
  return add(node, children);
}

const PROPERTIES = new Set(["value", "checked", "hidden", "indeterminate"]);

function apply(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "share") node.style.setProperty("--share", `${value}%`);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
}

export function add(node, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** Replaces what a node holds. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

export function icon(name, size = 16) {
  return s("svg", { viewBox: "0 0 16 16", width: `${size / 16}rem`, height: `${size / 16}rem`, "aria-hidden": "true" },
    s("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round" }));
}

export const iconButton = (name, label, onclick, look = "mini", more = {}) =>
  h(`button.${look}`, { type: "button", "aria-label": label, title: label, onclick, ...more }, icon(name, look === "mini" ? 14 : 16));

/** One of a few, as buttons side by side. `options`: [word, act, isOn]. */
export function segments(label, options) {
  const press = (button, act) => {
    for (const each of button.parentNode.children) each.setAttribute("aria-pressed", String(each === button));
    act();
  };
  return h("div.segments", { role: "group", "aria-label": label },
    options.map(([word, act, on]) => h("button", { type: "button", "aria-pressed": String(Boolean(on)), onclick: (e) => press(e.currentTarget, act) }, word)));
}

/** Tells readers of the screen. */
export function say(text) {
  const place = document.getElementById("say");
  if (place) place.textContent = text;
}

export function toast(text) {
  document.querySelector(".toast")?.remove();
  const node = h("div.toast", { "aria-hidden": "true" }, text);
  document.body.append(node);
  say(text);
  setTimeout(() => node.remove(), 2600);
}

export async function copy(text, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
    toast(what);
  } catch {
    toast("The browser did not allow copying. Select the text instead.");
  }
}

/** Hands a file to the browser's downloads. `content`: a Blob, a File or text. */
export function saveAs(content, name) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: "text/plain" }));
  const link = h("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Calls `act` once things have been quiet for `wait` milliseconds. */
export function debounce(act, wait) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...args), wait);
  };
}
