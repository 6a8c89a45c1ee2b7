// Starts the console: shell, pages, keys. A page is views/<name>.js with a default export (context) => node.
// @ts-check
import { h, fill, icon, iconButton, say, segments } from "./dom.js";
import { popover, blank } from "./overlay.js";
import { route, go, turnPage } from "./router.js";
import * as api from "./api.js";
import { session, me, may, looks, setLook, showLooks, signOut, chooseCommunity } from "./state.js";
import signIn from "./views/sign-in.js";

const PAGES = {
  search: { title: "Search", permission: "SIC_READ_INTAKES" },
  exports: { title: "Exports", permission: "SIC_MASSIVE_EXPORT_EVENTS" },
  quota: { title: "Quota", permission: null },
  fields: { title: "Fields", permission: "SIC_READ_INTAKES" },
  audit: { title: "Audit", permission: "ADMIN" },
  health: { title: "Health", permission: "ADMIN" },
};
const PERMISSION_WORDS = { SIC_READ_INTAKES: "search", SIC_MASSIVE_EXPORT_EVENTS: "export", SIC_WRITE_EVENTS: "send events", ADMIN: "administer" };
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const banner = h("div", {});

function shell(page) {
  const here = page === "task" ? "exports" : page;
  const link = (name) => h("a", { href: `#/${name}`, "aria-current": name === here ? "page" : null }, PAGES[name].title);
  const shown = Object.keys(PAGES).filter((name) => !PAGES[name].permission || PAGES[name].permission !== "ADMIN" || may("ADMIN"));
  const admin = shown.filter((name) => PAGES[name].permission === "ADMIN");
  const top = h("header.top", {},
    h("a.brand", { href: "#/search", "aria-label": "Penstock, search" }, h("img", { src: iconAddress(), alt: "" }), h("span", {}, "Penstock")),
    h("span.bar-line"), communities(), h("span.grow-phone"),
    h("nav.nav", { "aria-label": "Pages", id: "pages" }, shown.filter((name) => !admin.includes(name)).map(link), admin.length > 0 && h("div.admin", {}, admin.map(link))),
    iconButton("help", "Help (?)", help, "btn.quiet.icon.help-key"),
    iconButton("user", "Account", (e) => account(e.currentTarget), "btn.quiet.icon", { "aria-expanded": "false" }),
    iconButton("menu", "Pages", (e) => openPages(top, e.currentTarget), "btn.quiet.icon.only-phone", { "aria-expanded": "false", "aria-controls": "pages" }));
  top.addEventListener("keydown", (e) => { if (e.key === "Escape" && top.dataset.open === "true") { const button = top.querySelector(".only-phone"); button.click(); button.focus(); } });
  return [h("a.btn.solid.skip", { href: "#main", onclick: (e) => { e.preventDefault(); document.querySelector("main")?.focus(); } }, "Skip to the page"), top, banner];
}
function openPages(top, button) {
  const open = top.dataset.open !== "true";
  top.dataset.open = open;
  button.setAttribute("aria-expanded", String(open));
}
function communities() {
  const select = h("select.input", { "aria-label": "Community", onchange: () => { chooseCommunity(select.value); show(); } },
    me.communities.map((one) => h("option", { value: one.uuid }, one.name)));
  select.value = session.community;
  return select;
}
const iconAddress = () => new URL("../icon.svg", import.meta.url).href;

function account(button) {
  const may = me.permissions?.map((one) => PERMISSION_WORDS[one] ?? one).join(", ");
  const pick = (label, name, options) => [h("p", {}, label), segments(label, options.map(([word, value]) => [word, () => { setLook(name, value); if (name === "zone") show(); }, (looks[name] ?? "") === value]))];
  popover(button, h("div.menu", {}, h("p", {}, me.name ? `Key ${me.name}` : "Signed in", may && `: may ${may}`),
    pick("Theme", "theme", [["System", ""], ["Light", "light"], ["Dark", "dark"]]),
    pick("Rows", "density", [["Dense", ""], ["Roomy", "roomy"]]),
    pick("Times in", "zone", [["UTC", ""], ["Local", "local"]]),
    pick("Single keys", "keys", [["On", ""], ["Off", "off"]]),
    h("button", { type: "button", onclick: () => { signOut(); show(); } }, icon("lock"), "Sign out")), "Account");
}
const help = async () => (await import("./parts/help.js")).help();

// Pages

let shown = 0;
/** Shows the page of the address. */
export async function show() {
  const mine = ++shown, signal = turnPage();
  for (const layer of document.querySelectorAll("dialog:not([data-stay]), .pop")) layer.remove();
  const { page, id, params } = route();
  const known = page === "task" || PAGES[page] ? page : "search";
  if (!session.token) return showSignIn();
  if (!me.communities.length && !(await enter(mine, signal))) return;
  if (mine !== shown) return;
  document.title = `${PAGES[known]?.title ?? "Export"} · Penstock`;
  const main = h("main", { id: "main", tabindex: -1 });
  fill(app, shell(known), main);
  await fillPage(main, known, { id, params, signal }, () => mine === shown);
  if (mine === shown) say(document.title);
}

async function fillPage(main, page, context, isShown) {
  const needs = page === "task" ? "SIC_MASSIVE_EXPORT_EVENTS" : PAGES[page].permission;
  try {
    if (needs && !may(needs)) throw new api.Problem({ code: "permission_missing", status: 403, detail: "" });
    const { default: view } = await import(`./views/${page}.js`);
    if (!isShown()) return;
    fill(main, await view({ ...context, fail: (error) => { if (isShown()) fill(main, failure(page, error)); } }));
    main.querySelector("[data-focus]")?.focus();
  } catch (error) {
    if (isShown() && !api.isAbort(error)) fill(main, failure(page, error));
  }
}

/** What any page shows when it cannot be shown. */
function failure(page, error) {
  if (!session.token) return null;
  const title = PAGES[page]?.title ?? "Export", again = h("button.btn", { type: "button", onclick: () => show() }, icon("retry"), "Try now");
  const toSearch = h("a.btn", { href: "#/search" }, "Go to search");
  const page_of = (...content) => [h("h1.sr", {}, title), content];
  if (error instanceof api.Problem && error.status === 403) {
    return page_of(blank("lock", "Your key may not open this page", `${title} needs a permission that the key ${me.name ? `“${me.name}” ` : ""}does not have. Ask your administrator for a key that has it.`, page !== "search" && toSearch));
  }
  if (error instanceof api.Problem && error.isPassing) {
    const signal = turnPage();
    api.pause(5000, signal).then(() => show(), () => {});
    return page_of(blank("off", "Penstock does not answer", "We try again every 5 seconds. Exports go on; nothing is lost.", again));
  }
  if (error instanceof api.Problem) return page_of(blank("warn", error.detail, error.hint, again, page !== "search" && toSearch));
  console.error(error);
  return page_of(blank("warn", "This page could not be shown", "Penstock may have been updated since you opened it. Load the page again; what you were doing is in its address.",
    h("button.btn.solid", { type: "button", onclick: () => location.reload() }, icon("retry"), "Load again")));
}

function showSignIn() {
  document.title = "Sign in · Penstock";
  const main = h("main", { id: "main", tabindex: -1 }, signIn({ icon: iconAddress(), done: show }));
  fill(app, main);
  main.querySelector("[data-focus]")?.focus();
  say(document.title);
}

/** Learns who signed in. False: it did not work, and the page says so. */
async function enter(mine, signal) {
  try {
    const { who } = await import("./parts/who.js");
    await api.persist(() => who(session.token), signal);
    return true;
  } catch (error) {
    if (mine === shown && session.token) fill(app, h("main", { id: "main", tabindex: -1 }, failure("search", error)));
    return false;
  }
}

// Keys

let before = "";
addEventListener("keydown", (e) => {
  const target = /** @type {HTMLElement} */ (e.target);
  const typing = target.closest?.("input, textarea, select, [role=slider]");
  if (typing || e.ctrlKey || e.metaKey || e.altKey || looks.keys === "off" || !session.token || document.querySelector("dialog[open]")) return;
  const press = (selector) => { const node = document.querySelector(selector); if (node) { e.preventDefault(); node.matches("textarea, input") ? node.focus() : node.click(); } };
  const keys = { "/": () => press("[data-key='/']"), t: () => press("[data-key=t]"), e: () => press("[data-key=e]"), "?": () => { e.preventDefault(); help(); } };
  const page = before === "g" ? { s: "search", x: "exports", q: "quota", f: "fields" }[e.key] : null;
  if (page) go(page);
  else keys[e.key]?.();
  before = e.key;
});

// The bar above the page, while there is no connection or no answer

let answers = true;
function tellConnection() {
  fill(banner, !navigator.onLine ? h("div.banner", { role: "status" }, icon("off"), "You are offline. What you see stays; new searches wait.")
    : !answers && h("div.banner", { role: "status" }, icon("off"), "Penstock does not answer. We try again; exports go on."));
}
api.onAnswer((heard) => { if (heard !== answers) { answers = heard; tellConnection(); } });
api.onRefusal(show);
for (const name of ["online", "offline"]) addEventListener(name, tellConnection);

addEventListener("hashchange", show);
showLooks();
show();
import("./parts/staged-files.js").then((staged) => staged.removeOld(), () => {});
