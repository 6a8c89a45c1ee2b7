// Addresses: "#/page/id?query". A fragment never reaches a server's log or a Referer.
// @ts-check

export function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, id] = path.split("/");
  return { page: page || "search", id: id ? decodeURIComponent(id) : "", params: new URLSearchParams(query ?? "") };
}

/** @param {string} page @param {Record<string, string | null | undefined>} [params] empty ones are left out */
export function address(page, params = {}) {
  const query = new URLSearchParams(/** @type {[string, string][]} */ (Object.entries(params).filter(([, value]) => value))).toString();
  return `#/${page}${query ? `?${query}` : ""}`;
}

/** Goes to a page; to the one shown already, it shows it again. */
export function go(page, params = {}) {
  const to = address(page, params);
  if (location.hash === to) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = to;
}

/** Changes the address of the page that is shown, without showing it again. */
export const replace = (page, params) => history.replaceState(history.state, "", address(page, params));

/**
 * A signal that is aborted when the page shown now is left: whatever a page starts ends with it.
 * @type {AbortController}
 */
let leaving = new AbortController();
export function turnPage() {
  leaving.abort();
  leaving = new AbortController();
  return leaving.signal;
}
