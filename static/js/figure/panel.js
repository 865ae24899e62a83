// One frame of a figure: its scales, grid, rules and traces, drawn at the width that there is.
import { DASHES, bandPath, linePath, make, mark, marksPath } from "./draw.js";
import { numberTicks, padded, said, span, timeTicks, wholeTicks } from "./scale.js";

const CHARACTER = 6.8; // pixels of a digit in text of 12 px
const EDGE = 6; // pixels that marks may stick out of the frame

/** An axis: places, words, the nearest place, and the whole range with a little room. */
export function axisOf(given, boxes = false) {
  const n = given.values?.length ?? given.n;
  const value = given.values ? (k) => given.values[k] : (k) => given.from + k * given.step;
  const span = value(n - 1) - value(0);
  const step = n > 1 ? span / (n - 1) : 1;
  const room = span > 0 ? (boxes ? 0.5 * step : Math.min(0.5 * step, 0.03 * span)) : 0.5;
  /** The first place at or after v. */
  const after = (v) => {
    let [low, high] = [0, n];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value(middle) < v) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const nearest = (v) => {
    const k = Math.min(n - 1, after(v));
    return k > 0 && v - value(k - 1) < value(k) - v ? k - 1 : k;
  };
  const words = (k) => given.labels?.[k] ?? said(value(k));
  const ticks = { time: timeTicks, whole: wholeTicks }[given.kind] ?? numberTicks;
  return { n, value, step, after, nearest, words, ticks, title: given.title ?? "", whole: [value(0) - room, value(n - 1) + room] };
}

/** The value at v of a line through (x[j], y(j)), x rising; NaN outside. */
function between(x, y, v) {
  const j = x.findIndex((at) => at >= v);
  if (j < 0 || v < x[0]) return NaN;
  if (j === 0 || x[j] === v) return y(j);
  const share = (v - x[j - 1]) / (x[j] - x[j - 1]);
  return y(j - 1) + share * (y(j) - y(j - 1));
}

/** A trace that answers. Its own places j: `across`, `value` and, of a band, `low`. At place k of the axis: `read`,
 * NaN without a value, and `readLow`. */
export function traceOf(given, axis) {
  const trace = { width: 1.6, first: 0, opacity: 1, marker: "dot", ...given };
  const number = (v) => (v === null || v === undefined ? NaN : v);
  trace.value = (j) => number(given.y[j]);
  trace.low = (j) => number(given.low?.[j]);
  if (given.x) {
    trace.places = given.x.length;
    trace.across = (j) => given.x[j];
    trace.read = given.read ? (k) => between(given.x, trace.value, axis.value(k)) : () => NaN;
  } else if (given.at) {
    const index = new Map(given.at.map((k, j) => [k, j]));
    trace.places = given.at.length;
    trace.across = (j) => axis.value(given.at[j]);
    trace.read = (k) => (index.has(k) ? number(given.y[index.get(k)]) : NaN);
  } else {
    trace.places = given.y.length;
    trace.across = (j) => axis.value(trace.first + j);
    trace.read = (k) => number(given.y[k - trace.first]);
    trace.readLow = (k) => number(given.low?.[k - trace.first]);
  }
  return trace;
}

export class Panel {
  constructor(given, axis, shared) {
    this.given = given;
    this.axis = axis;
    this.shared = shared; // zoomed with the others
    this.traces = given.traces.map((t) => traceOf(t, axis));
    this.right = this.traces.some((t) => t.right);
    this.svg = make("svg", { class: "plot-frame" });
  }

  /** The traces' places j to draw: those in view, and one more at each side. */
  _part(trace, view) {
    const before = (v) => {
      let [low, high] = [0, trace.places];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (trace.across(middle) < v) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return [Math.max(0, before(view[0]) - 1), Math.min(trace.places, before(view[1]) + 1)];
  }

  /** The range of what is in view at one side. */
  _range(view, hidden, right) {
    if (this.given.range && !right) return this.given.range;
    let [low, high] = [Infinity, -Infinity];
    const take = (v) => {
      if (v < low) low = v;
      if (v > high) high = v;
    };
    for (const trace of this.traces) {
      if (hidden.has(trace.name) || Boolean(trace.right) !== right) continue;
      const [from, to] = this._part(trace, view);
      for (let j = from; j < to; j++) {
        const x = trace.across(j);
        if (x < view[0] || x > view[1]) continue;
        take(trace.value(j));
        if (trace.kind === "band") take(trace.low(j));
      }
      if (trace.kind === "boxes" || trace.kind === "sticks") take(0);
    }
    for (const rule of this.given.rules ?? []) if (rule.fit && rule.y !== undefined && !right) take(rule.y);
    const boxes = this.traces.some((t) => t.kind === "boxes");
    const [least, most] = padded(low, high);
    const near = boxes || (this.given.floor && low < 0.5 * high);
    return [near && low >= 0 ? 0 : least, most];
  }

  /** What the numbers at the left need, once the range is known. */
  measure(view, hidden) {
    const wanted = Math.max(2, Math.round(this.given.height / 60));
    this.ranges = [this._range(view, hidden, false), this._range(view, hidden, true)];
    this.ticks = this.ranges.map((range) => numberTicks(...range, wanted));
    return 14 + CHARACTER * Math.max(...this.ticks[0].map((t) => t.text.length), 2);
  }

  draw(width, left, view, hidden) {
    const { given } = this;
    const top = given.title ? 30 : 8;
    const far = this.right ? 14 + CHARACTER * Math.max(...this.ticks[1].map((t) => t.text.length), 2) : 10;
    const foot = given.bare ? 10 : 26 + (this.axis.title ? 16 : 0);
    const height = given.height;
    const wide = Math.max(40, width - left - far);
    const across = (v) => ((v - view[0]) / (view[1] - view[0])) * wide;
    const ups = this.ranges.map(([low, high]) => (v) => height - ((v - low) / (high - low)) * height);
    const up = (trace) => ups[trace.right ? 1 : 0];
    Object.assign(this, { left, top, wide, height, view, across, up, width, total: top + height + foot });
    const svg = this.svg;
    svg.setAttribute("width", width);
    svg.setAttribute("height", this.total);
    svg.setAttribute("viewBox", `0 0 ${width} ${this.total}`);
    svg.replaceChildren();
    const text = (x, y, words, name = "plot-tick", anchor) => svg.append(make("text", { x, y, class: name, "text-anchor": anchor }, words));
    if (given.title) text(left, 15, given.title, "plot-title");
    for (const { at, text: words } of this.ticks[0]) {
      const y = Math.round(top + ups[0](at)) + 0.5;
      svg.append(make("line", { x1: left, x2: left + wide, y1: y, y2: y, class: "plot-grid" }));
      text(left - 8, y + 4, words, "plot-tick", "end");
    }
    if (this.right) for (const { at, text: words } of this.ticks[1]) text(left + wide + 8, top + ups[1](at) + 4, words);
    const frame = (aside) => {
      const [w, h] = [wide + 2 * aside, height + 2 * EDGE];
      const made = make("svg", { x: left - aside, y: top - EDGE, width: w, height: h, viewBox: `${-aside} ${-EDGE} ${w} ${h}` });
      svg.append(made);
      return made;
    };
    const [inside, over] = [frame(1), frame(EDGE)]; // lines end with the frame, marks may stick out of it
    this._rules(inside, text);
    for (const trace of this.traces) if (!hidden.has(trace.name)) this._trace(trace.kind === "points" ? over : inside, trace);
    const base = top + height + 0.5;
    svg.append(make("line", { x1: left, x2: left + wide, y1: base, y2: base, class: "plot-axis" }));
    const marks = this.axis.ticks(...view, Math.max(3, Math.floor(wide / 76)));
    for (const { at, text: words } of marks) {
      const x = Math.round(left + across(at)) + 0.5;
      svg.append(make("line", { x1: x, x2: x, y1: base, y2: base + 4, class: "plot-axis" }));
      if (!given.bare) text(x, base + 18, words, "plot-tick", "middle");
    }
    if (this.axis.title && !given.bare) text(left + wide / 2, base + 36, this.axis.title, "plot-tick", "middle");
    this.cross = make("g", { class: "plot-cross" });
    this.chosen = make("rect", { class: "plot-chosen", y: top, height, width: 0 });
    svg.append(this.chosen, this.cross);
  }

  _rules(inside, text) {
    const labels = [];
    for (const rule of this.given.rules ?? []) {
      const dash = rule.dash === "solid" ? undefined : DASHES[rule.dash ?? "dashed"];
      if (rule.y !== undefined) {
        const y = this.up({})(rule.y);
        if (y < -1 || y > this.height + 1) continue;
        inside.append(make("line", { x1: 0, x2: this.wide, y1: y, y2: y, class: "plot-rule", "stroke-dasharray": dash }));
        if (rule.label) labels.push([y, rule.label]);
      } else {
        const x = this.across(rule.x);
        if (x < 0 || x > this.wide) continue;
        inside.append(make("line", { x1: x, x2: x, y1: 0, y2: this.height, class: "plot-rule", "stroke-dasharray": dash }));
        if (rule.label && x < this.wide - 60) text(this.left + x + 6, this.top + 12, rule.label);
      }
    }
    let before = -Infinity;
    for (const [y, label] of labels.sort((a, b) => a[0] - b[0])) {
      before = y - 4 - before < 13 ? Math.max(y + 13, before + 13) : y - 4; // under its line where the one above is near
      text(this.left + this.wide, this.top + before, label, "plot-tick", "end");
    }
  }

  _trace(inside, trace) {
    const [from, to] = this._part(trace, this.view);
    const up = this.up(trace);
    const x = (j) => this.across(trace.across(j));
    const y = (j) => up(trace.value(j));
    const look = `p-${trace.look}`;
    const dash = DASHES[trace.dash];
    if (trace.kind === "line") {
      inside.append(make("path", { d: linePath(from, to, x, y, this.wide), class: `plot-line ${look}`, "stroke-width": trace.width, "stroke-dasharray": dash }));
    } else if (trace.kind === "band") {
      const d = bandPath(from, to, x, y, (j) => up(trace.low(j)), this.wide);
      inside.append(make("path", { d, class: `plot-band ${look}`, "fill-opacity": trace.opacity }));
    } else if (trace.kind === "points") {
      const places = [];
      for (let j = from; j < to; j++) if (!Number.isNaN(y(j))) places.push([x(j), y(j)]);
      const d = marksPath(places, trace.marker, trace.marker === "dot" ? 2.6 : 5);
      inside.append(make("path", { d, class: `plot-mark ${look}${trace.hollow ? " hollow" : ""}` }));
    } else {
      const zero = Math.min(this.height, Math.max(0, up(0)));
      const half = trace.kind === "boxes" ? Math.max(0.5, this.across(this.view[0] + this.axis.step) / 2 - 0.5) : 0;
      const parts = [];
      for (let j = from; j < to; j++) {
        if (Number.isNaN(y(j))) continue;
        if (half) parts.push(`M${(x(j) - half).toFixed(1)} ${zero}V${y(j).toFixed(1)}h${(2 * half).toFixed(1)}V${zero}Z`);
        else parts.push(`M${x(j).toFixed(1)} ${zero.toFixed(1)}V${y(j).toFixed(1)}`);
      }
      const shape = half ? { class: `plot-band ${look}`, "fill-opacity": trace.opacity } : { class: `plot-line ${look}`, "stroke-width": trace.width };
      inside.append(make("path", { d: parts.join(""), ...shape }));
    }
  }

  /** The line and dots at place k; without k none. */
  point(k, hidden) {
    this.cross.replaceChildren();
    if (k === null) return;
    const x = this.left + this.across(this.axis.value(k));
    if (x < this.left - 1 || x > this.left + this.wide + 1) return;
    this.cross.append(make("line", { x1: x, x2: x, y1: this.top, y2: this.top + this.height }));
    for (const trace of this.traces) {
      const value = trace.read(k);
      if (hidden.has(trace.name) || trace.kind !== "line" || Number.isNaN(value)) continue;
      this.cross.append(make("path", { d: mark(x, this.top + this.up(trace)(value), "dot", 3.5), class: `plot-mark p-${trace.look}` }));
    }
  }

  /** What is read out at place k: [trace, words]. */
  readings(k, hidden) {
    const found = [];
    const bandsLast = [...this.traces].sort((a, b) => (a.kind === "band") - (b.kind === "band"));
    for (const trace of bandsLast) {
      const value = trace.read(k);
      if (hidden.has(trace.name) || !trace.name || Number.isNaN(value)) continue;
      found.push([trace, trace.kind === "band" ? span(trace.readLow(k), value) : said(value)]);
    }
    return found;
  }
}
