// The community's fields and the common values of one, asked for once and kept while the community stays.
// @ts-check
import * as api from "../api.js";
import { session } from "../state.js";

let community = "";
/** @type {Promise<import("penstock-api").FieldInfo[]> | null} */
let fields = null;
/** @type {Map<string, Promise<any[]>>} */
const values = new Map();

function forget() {
  if (community === session.community) return;
  community = session.community;
  fields = null;
  values.clear();
}

/** Fields that events hold first, each group in alphabetical order. */
export function knownFields() {
  forget();
  fields ??= api.fields(community).then(({ items }) => [...items.filter((x) => x.files > 0), ...items.filter((x) => !x.files)]);
  fields.catch(() => { fields = null; });
  return fields;
}

/** The most common values of a field in the newest events: [{name, value}], value in per cent. Empty if unknown. */
export function commonValues(name, prefix = "") {
  forget();
  const key = JSON.stringify([name, prefix]);
  if (!values.has(key)) {
    if (values.size > 200) values.clear();
    values.set(key, api.fieldValues(community, name, prefix).then((page) => page.items, () => []));
  }
  return /** @type {Promise<any[]>} */ (values.get(key));
}

/** Types as people read them: [short, long]. */
const KINDS = { keyword: ["abc", "keyword"], text: ["text", "text"], ip: ["ip", "address"], long: ["123", "number"], double: ["1.5", "number"], boolean: ["y/n", "yes or no"], date: ["time", "date"], "keyword-list": ["abc", "list"], json: ["{ }", "objects"] };
export const kind = (type) => KINDS[type] ?? ["abc", String(type)];
