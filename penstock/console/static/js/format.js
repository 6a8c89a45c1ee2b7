// Numbers, sizes, times and values for people.
// @ts-check
import { looks } from "./state.js";

const WHOLE = new Intl.NumberFormat("en-GB");
const trim = (n) => (n >= 100 ? n.toFixed(0) : n.toFixed(1)).replace(/\.0$/, "");

export const count = (n) => WHOLE.format(n);
export const short = (n) => (n >= 1e6 ? `${trim(n / 1e6)} M` : n >= 1e4 ? `${trim(n / 1e3)} k` : count(n));
export const percent = (n) => `${n < 10 && n % 1 ? n.toFixed(1) : Math.round(n)} %`;
export const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

export function bytes(n) {
  for (const [size, unit] of /** @type {[number, string][]} */ ([[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]])) if (n >= size) return `${trim(n / size)} ${unit}`;
  return `${n} B`;
}

/** A length of time. */
export function lasts(seconds) {
  if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 59.5) return `${trim(seconds < 9.95 ? seconds : Math.round(seconds))} s`;
  if (seconds < 3600) return twoParts(Math.round(seconds), 60, "min", "s");
  if (seconds < 172_800) return twoParts(Math.round(seconds / 60), 60, "h", "min");
  return `${trim(seconds / 86_400)} days`;
}
function twoParts(n, size, large, small) {
  const rest = n % size;
  return `${Math.floor(n / size)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

/**
 * A value of an event as text. Control and direction marks become visible, so that nothing can pose as something else;
 * a line break stays one.
 * @param {any} value
 */
export function plain(value) {
  const text = Array.isArray(value) && value.every((x) => !isObject(x)) ? value.map(scalar).join(", ") : scalar(value);
  return text.replace(/\r\n/g, "\n").replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `⟨U+${c.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** One value as the query language and people write it. */
export const scalar = (value) => (typeof value === "string" ? value : isObject(value) ? JSON.stringify(value) : numeral(value) ?? String(value));

/** Numbers that JavaScript cannot hold come as raw JSON (see api.js); this is their text. */
const numeral = (value) => (isRaw(value) ? value.rawJSON : null);
const isRaw = (value) => value !== null && typeof value === "object" && Boolean(/** @type {any} */ (JSON).isRawJSON?.(value));
export const isObject = (value) => value !== null && typeof value === "object" && !isRaw(value);

/** At most `most` characters of a text, never half a pair. */
export const clip = (text, most) => (text.length <= most ? text : `${text.slice(0, most).replace(/[\uD800-\uDBFF]$/, "")}…`);

/** @param {Intl.DateTimeFormatOptions} options */
const part = (options) => {
  /** @type {Record<string, Intl.DateTimeFormat>} */
  const made = {};
  return (at) => {
    const zone = looks.zone === "local" ? "local" : "utc";
    made[zone] ??= new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone === "utc" ? "UTC" : undefined, hourCycle: "h23" });
    return made[zone].format(ms(at));
  };
};
/** An instant (number of milliseconds, or RFC 3339) as milliseconds. */
export const ms = (at) => (typeof at === "number" ? at : Date.parse(at));
export const day = part({ weekday: "short", day: "numeric", month: "short" });
export const dayOnly = part({ day: "numeric", month: "short" });
const dayAndYear = part({ day: "numeric", month: "short", year: "numeric" });
export const month = part({ month: "long", year: "numeric" });
export const clock = part({ hour: "2-digit", minute: "2-digit" });
const clockFull = part({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

const ofThisYear = (at) => new Date(ms(at)).getUTCFullYear() === new Date().getUTCFullYear();
export const date = (at) => (ofThisYear(at) ? dayOnly(at) : dayAndYear(at));
export const moment = (at) => `${date(at)}, ${clock(at)}`;
export const stamp = (at) => `${date(at)} ${clockFull(at).slice(0, 8)}`;
/** As stamp, with milliseconds; years beyond what Date holds stay as they came. */
export const line = (at) => (Number.isNaN(ms(at)) ? String(at) : `${date(at)} ${clockFull(at)}`);
export const zoneName = () => (looks.zone === "local" ? "local time" : "UTC");
