// SVG charts, by hand. Each draws itself to the width it has.
// @ts-check
import { h, s, fill } from "./dom.js";
import * as f from "./format.js";

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
const foot = () => 1.15 * rem();   // room for the labels of the axis
const DAY = 86_400_000;

/**
 * The histogram, with a brush: drag, or focus and use arrows (Shift extends, Enter searches, Esc clears).
 * @param {{onrange: (from: number, to: number) => void}} options
 */
export function histogram({ onrange }) {
  /** @type {{start: number, end: number, count: number}[]} */
  let buckets = [];
  let from = -1, to = -1, at = 0, dragging = false, isWhole = false;
  const svg = s("svg", { "aria-hidden": "true" });
  const read = h("span.grow", {});
  // Made once: a press on one of them takes the focus from the plot, which draws again, and must still meet its release.
  const actions = h("span.row", { hidden: true }, h("button.btn.soft", { type: "button", onclick: () => apply() }, "Use this time"), h("button.btn.quiet", { type: "button", onclick: () => clear() }, "Clear"));
  const plot = h("div.plot", { tabindex: 0, role: "slider", "aria-label": "Time on the histogram", "aria-describedby": "brush-help", "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": 0 }, svg);
  const figure = h("figure.histogram", { "aria-label": "Histogram" }, h("figcaption", {}, read, actions),
    plot, h("p.sr", { id: "brush-help" }, "Arrow keys move. Hold Shift to select a range. Enter searches in it. Escape clears it."));

  const isChosen = () => from >= 0;
  const ends = () => (isChosen() ? [Math.min(from, to), Math.max(from, to)] : [at, at]);
  const span = (a, b) => (f.date(a) === f.date(b) ? `${f.day(a)}, ${f.clock(a)} – ${f.clock(b)}` : `${f.day(a)}, ${f.clock(a)} – ${f.day(b)}, ${f.clock(b)}`);
  const sum = (a, b) => buckets.slice(a, b + 1).reduce((n, x) => n + x.count, 0);
  const isPointed = () => plot.matches(":hover, :focus-visible");

  function tell() {
    actions.hidden = !isChosen();
    if (!buckets.length) return fill(read, "Counting over time");
    const [a, b] = ends(), text = span(buckets[a].start, buckets[b].end), events = f.plural(sum(a, b), "event");
    plot.setAttribute("aria-valuemax", buckets.length - 1);
    plot.setAttribute("aria-valuenow", b);
    plot.setAttribute("aria-valuetext", `${text}, ${events}${isChosen() ? ", selected" : ""}`);
    fill(read, isChosen() || isPointed() ? [h("strong", {}, text), ` · ${events}`]
      : [`One bar is ${f.lasts((buckets[0].end - buckets[0].start) / 1e3)}`, h("span.wide-only", {}, isWhole ? " · draw across the bars to choose a time" : " · still counting")]);
  }
  function apply() { const [a, b] = ends(); onrange(buckets[a].start, buckets[b].end); clear(); }
  function clear() { from = to = -1; draw(); }

  function draw() {
    const { width: w, height: tall } = plot.getBoundingClientRect();
    if (!w) return;
    const base = tall - foot(), most = Math.max(1, ...buckets.map((b) => b.count)), wide = w / Math.max(1, buckets.length), [a, b] = ends();
    const high = (n) => (n ? Math.max(1, n / most * (base - 6)) : 0);
    svg.setAttribute("viewBox", `0 0 ${w} ${tall}`);
    fill(svg, [.5, 1].map((y) => s("line", { class: "grid", x1: 0, x2: w, y1: base - y * (base - 6), y2: base - y * (base - 6) })),
      buckets.map((x, n) => x.count > 0 && s("rect", { class: (isChosen() || isPointed()) && n >= a && n <= b ? "b on" : "b",
        x: (n * wide + .5).toFixed(1), width: Math.max(1, wide - 1.5).toFixed(1), y: (base - high(x.count)).toFixed(1), height: high(x.count).toFixed(1), rx: 1 })),
      s("line", { class: "axis", x1: 0, x2: w, y1: base, y2: base }), ticks(w).map(([x, text]) => [s("line", { class: "axis", x1: x, x2: x, y1: base, y2: base + 4 }), s("text", { x: x + 4, y: tall - 3 }, text)]),
      buckets.length > 0 && s("text", { x: w, y: 4, "text-anchor": "end" }, f.short(most)),
      isChosen() && [s("rect", { class: "sel", x: a * wide, y: 0, width: (b - a + 1) * wide, height: base }), [a, b + 1].map((n) => s("line", { class: "edge", x1: n * wide, x2: n * wide, y1: 0, y2: base }))]);
    tell();
  }

  /** Labels of the time axis: [x, text], at round times, far enough apart. */
  function ticks(w) {
    if (!buckets.length) return [];
    const first = buckets[0].start, last = buckets[buckets.length - 1].end, most = Math.max(1, Math.floor(w / (7 * rem())));
    const steps = [1e3, 5e3, 15e3, 6e4, 3e5, 9e5, 18e5, 36e5, 108e5, 216e5, 432e5, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY, 3650 * DAY];
    const step = steps.find((x) => (last - first) / x <= most) ?? 36500 * DAY;
    const shift = f.zoneName() === "UTC" ? 0 : new Date(first).getTimezoneOffset() * 6e4;
    const marks = [];
    for (let t = Math.ceil((first - shift) / step) * step + shift; t < last; t += step) {
      const x = (t - first) / (last - first) * w;
      if (x < w - 4.5 * rem()) marks.push([x, step < 6e4 ? f.stamp(t).slice(-8) : step < DAY ? ((t - shift) % DAY === 0 ? f.day(t) : f.clock(t)) : step < 30 * DAY ? f.day(t) : f.date(t)]);
    }
    return marks;
  }

  const where = (e) => { const r = plot.getBoundingClientRect(); return Math.max(0, Math.min(buckets.length - 1, Math.floor((e.clientX - r.left) / r.width * buckets.length))); };
  plot.addEventListener("pointerdown", (e) => { if (!buckets.length) return; dragging = true; plot.setPointerCapture(e.pointerId); at = where(e); from = to = -1; draw(); });
  plot.addEventListener("pointermove", (e) => {
    if (!buckets.length) return;
    const n = where(e);
    if (dragging && (isChosen() || n !== at)) { if (!isChosen()) from = at; to = n; } else if (!dragging) at = n;
    draw();
  });
  plot.addEventListener("pointerup", () => { dragging = false; });
  for (const name of ["pointerleave", "focus", "blur"]) plot.addEventListener(name, draw);
  plot.addEventListener("keydown", (e) => {
    if (!buckets.length) return;
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12, Home: -9999, End: 9999 }[e.key];
    if (move) {
      const n = Math.max(0, Math.min(buckets.length - 1, at + move));
      if (e.shiftKey) { if (!isChosen()) from = at; to = n; } else from = to = -1;
      at = n;
    } else if (e.key === "Enter" && isChosen()) apply();
    else if (e.key === "Escape" && isChosen()) clear();
    else return;
    e.preventDefault();
    draw();
  });
  new ResizeObserver(draw).observe(plot);

  /** @param {import("penstock-api").Histogram} counted @param {boolean} whole false while the search still counts */
  figure.show = (counted, whole) => {
    const starts = counted.buckets.map((x) => f.ms(x.start)), length = counted.interval_seconds * 1e3;
    buckets = counted.buckets.map((x, n) => ({ start: starts[n], end: Math.round(starts[n] + length), count: x.count }));
    isWhole = whole;
    at = Math.min(at || buckets.length - 1, buckets.length - 1);
    if (isChosen() && Math.max(from, to) >= buckets.length) from = to = -1;
    draw();
  };
  tell();
  return figure;
}

/** Plain bars, one a day, for the quota page. The same numbers stand in a table beside it. `today`: index. */
export function dayBars(values, today) {
  const svg = s("svg", { role: "img", "aria-label": "Bytes exported on each day of this month" });
  const box = h("div.bars", {}, svg);
  const round = (n) => { const p = 10 ** Math.floor(Math.log10(n)); return [1, 2, 5, 10].map((x) => x * p).find((x) => x >= n) ?? n; };
  const most = round(Math.max(1000, ...values));
  new ResizeObserver(() => {
    const { width: w, height: tall } = box.getBoundingClientRect(), base = tall - foot(), wide = w / values.length, high = (v) => v / most * (base - 12);
    svg.setAttribute("viewBox", `0 0 ${w} ${tall}`);
    fill(svg, [.5, 1].map((y) => [s("line", { class: "soft", x1: 0, x2: w, y1: base - y * (base - 12), y2: base - y * (base - 12) }), s("text", { x: 0, y: base - y * (base - 12) - 3 }, f.bytes(y * most))]),
      values.map((v, n) => v > 0 && s("rect", { class: n === today ? "b now" : "b", x: n * wide + 1, width: Math.max(1, wide - 3), y: base - Math.max(1, high(v)), height: Math.max(1, high(v)), rx: 2 })),
      s("line", { class: "line", x1: 0, x2: w, y1: base, y2: base }),
      values.map((_, n) => ((n % 5 === 0 && Math.abs(n - today) !== 1) || n === today) && s("text", { x: n * wide + wide / 2, y: tall - 3, "text-anchor": "middle" }, n + 1)));
  }).observe(box);
  return box;
}
