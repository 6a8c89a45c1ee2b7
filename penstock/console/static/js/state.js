// What the console knows: the API key, the community, customer keys (all in memory), and looks (kept in this browser).
// @ts-check

const SESSION = "penstock.session";
const LOOKS = "penstock.looks";

/**
 * Looks: the only thing that outlives the tab. Nothing of events, queries or keys.
 * @type {{theme?: string, density?: string, keys?: string, zone?: string, columns?: string[]}}
 */
export const looks = read(globalThis.localStorage, LOOKS) ?? {};

export function setLook(name, value) {
  if (value === undefined || value === "") delete looks[name];
  else looks[name] = value;
  write(globalThis.localStorage, LOOKS, looks);
  showLooks();
}

export function showLooks() {
  for (const name of ["theme", "density", "keys"]) {
    if (looks[name]) document.documentElement.dataset[name] = looks[name];
    else delete document.documentElement.dataset[name];
  }
}

/**
 * The signed-in key. `remember`: kept for the tab's session, for a reload.
 * @type {{token: string, community: string, remember: boolean, ended: boolean}}
 */
export const session = { token: "", community: "", remember: false, ended: false, ...read(globalThis.sessionStorage, SESSION) };

/**
 * Who is signed in. `mayBePlain`: the operator allows exports without a key.
 * @type {{name: string, permissions: string[] | null, communities: {uuid: string, name: string}[], mayBePlain: boolean}}
 */
export const me = { name: "", permissions: null, communities: [], mayBePlain: false };

export const may = (permission) => me.permissions === null || me.permissions.includes(permission);
export const communityName = () => me.communities.find((one) => one.uuid === session.community)?.name ?? "";

/** Customer keys of exports started in this tab, by task. Never stored. @type {Map<string, string>} */
export const customerKeys = new Map();

export function signIn(token, remember) {
  Object.assign(session, { token, remember, ended: false });
  keepSession();
}

export function chooseCommunity(uuid) {
  session.community = uuid;
  keepSession();
}

/** @param {boolean} ended the service refused the key: the page says so and keeps its address */
export function signOut(ended = false) {
  Object.assign(session, { token: "", community: ended ? session.community : "", ended });
  Object.assign(me, { name: "", permissions: null, communities: [], mayBePlain: false });
  if (!ended) customerKeys.clear();
  try { globalThis.sessionStorage.removeItem(SESSION); } catch { /* no storage in this browser */ }
}

function keepSession() {
  if (session.remember) write(globalThis.sessionStorage, SESSION, { token: session.token, community: session.community, remember: true });
}

function read(storage, name) {
  try { return JSON.parse(storage.getItem(name) ?? "null"); } catch { return null; }
}
function write(storage, name, value) {
  try { storage.setItem(name, JSON.stringify(value)); } catch { /* full or forbidden: it lasts as long as the page */ }
}
