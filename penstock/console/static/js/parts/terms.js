// Writes terms of the query language: the other half of penstock/query, for one field and one value.
// @ts-check
import { isObject, scalar } from "../format.js";

/** Whether a term can be written that finds this value: not for null, objects, lists of several, and texts with a NUL. */
export const isRefinable = (name, value) => name !== "@timestamp" && value !== null && value !== undefined && !isObject(value) && !`${name}${scalar(value)}`.includes("\0");

/** `field:value`, quoted and escaped where the language wants it. */
export function term(name, value) {
  return `${fieldName(name)}:${word(scalar(value))}`;
}

export function word(text) {
  return /^[\p{L}\p{N}_.][\p{L}\p{N}_.-]*$/u.test(text) && !/^(AND|OR|NOT|TO)$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

export function fieldName(name) {
  return name.replace(/[^\p{L}\p{N}_.@-]/gu, "\\$&").replace(/^-/, "\\-");
}

/** A query, and one term more. A query with OR on its top is put into parentheses, since AND binds tighter. */
export function refine(query, added, isExcluded) {
  const old = query.trim(), more = `${isExcluded ? "NOT " : ""}${added}`;
  if (!old || old === "*") return more;
  return `${/(^|\s|\))OR(\s|\()/.test(withoutQuotes(old)) ? `(${old})` : old} AND ${more}`;
}

/** Without the last term of the top level, if there is an AND to cut at. */
export function withoutLast(query) {
  const plain = withoutQuotes(query), at = plain.lastIndexOf(" AND ");
  return at < 0 || plain.slice(at).includes(")") ? "" : query.slice(0, at);
}

/** Of the same length, with what stands between quotes and slashes blanked: operators in it are none. */
const withoutQuotes = (query) => query.replace(/"(?:[^"\\]|\\.)*"?|(?<=:)\/(?:[^/\\]|\\.)*\//gs, (x) => "_".repeat(x.length));
