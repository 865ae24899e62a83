// A figure that answers: what a place holds, a part of the axis in full width, traces taken out and put back.
// The stored picture stands until the numbers are there, and comes back when they cannot be had.
import { DASHES, make, mark } from "./draw.js";
import { Panel, axisOf } from "./panel.js";

const MOST = 14; // traces that are read out together over all frames of an axis
const STEP = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };

/** Draw every figure in a part of the page that has its numbers beside it. */
export function figures(part) {
  for (const box of part.querySelectorAll("[data-plot]:not([data-drawn])")) {
    box.dataset.drawn = "";
    fetch(box.dataset.plot)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
      .then((given) => box.isConnected && new Figure(box, given))
      .catch((fault) => console.warn(`The stored picture stays: ${fault.message}`));
  }
}

function element(tag, name, words, attributes = {}) {
  const made = document.createElement(tag);
  made.className = name;
  if (words) made.textContent = words;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class Figure {
  constructor(box, given) {
    this.given = given;
    this.hidden = new Set();
    this.axis = given.x ? axisOf(given.x) : null;
    this.panels = given.panels.map((p) => {
      const boxes = p.traces.some((t) => t.kind === "boxes" || t.kind === "sticks");
      return new Panel(p, p.x ? axisOf(p.x, boxes) : this.axis, !p.x);
    });
    this.view = given.view ?? this.axis?.whole;
    this.stored = box;
    this.root = element("div", "plot", "", { role: "group", "aria-label": given.title });
    this._head();
    this.grid = element("div", "plot-grid-box");
    this.panels.forEach((panel, n) => this.grid.append(this._cell(panel, n)));
    this.root.append(this.grid);
    this.tip = element("div", "plot-tip", "", { "aria-hidden": "true" });
    this.tip.hidden = true;
    this.root.append(this.tip);
    this.root.addEventListener("pointerdown", (event) => {
      if (!event.target.closest?.(".plot-frame")) this.tip.hidden = true;
    });
    box.after(this.root);
    this._show(true);
    let width = 0;
    new ResizeObserver(() => {
      if (!this.root.isConnected || this.root.hidden || this.root.clientWidth === width) return;
      width = this.root.clientWidth;
      this.draw();
    }).observe(this.root);
  }

  // What stands over the frames: title, key, buttons

  _head() {
    const head = element("div", "plot-head");
    head.append(element("p", "caption", this.given.title));
    if (this.given.note) head.append(element("p", "note", this.given.note));
    this.root.append(head, this._key(), this._buttons());
  }

  _key() {
    const key = element("div", "plot-keys", "", { role: "group", "aria-label": "Shown" });
    const names = new Map();
    for (const panel of this.panels) {
      const named = panel.traces.filter((t) => t.name && !t.nokey);
      if (named.length > 1) for (const trace of named) if (!names.has(trace.name)) names.set(trace.name, trace);
    }
    const bandsLast = [...names].sort(([, a], [, b]) => (a.kind === "band") - (b.kind === "band"));
    for (const [name, trace] of bandsLast) {
      const button = element("button", "plot-key", "", { type: "button", "aria-pressed": "true" });
      button.append(swatch(trace), element("span", "", name));
      button.addEventListener("click", () => {
        if (!this.hidden.delete(name)) this.hidden.add(name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
        this.draw();
      });
      key.append(button);
    }
    key.hidden = names.size === 0;
    return key;
  }

  _buttons() {
    const row = element("div", "plot-buttons");
    const add = (words, act) => {
      const button = element("button", "text-button", words, { type: "button" });
      button.addEventListener("click", act);
      row.append(button);
      return button;
    };
    if (this.axis && this.axis.n > 10) {
      add("Zoom in", () => this.zoom(0.5));
      add("Zoom out", () => this.zoom(2));
      add("Earlier", () => this.pan(-0.5));
      add("Later", () => this.pan(0.5));
      this.all = add("Show all", () => this.look(this.axis.whole));
    }
    const back = add("Stored picture", () => this._show(false));
    const again = element("button", "text-button small plot-again", "Interactive figure", { type: "button" });
    again.addEventListener("click", () => {
      this._show(true);
      back.focus();
    });
    this.again = again;
    this.stored.after(again);
    return row;
  }

  /** The figure, or the stored picture in its place. */
  _show(live) {
    this.root.hidden = !live;
    this.again.hidden = live;
    for (const e of this.stored.parentElement.querySelectorAll(":scope > .picture")) e.hidden = live;
    if (!live) this.again.focus();
    else this.draw();
  }

  // Frames

  _cell(panel, n) {
    const cell = element("div", `plot-cell of-${panel.given.row ?? 1}`);
    cell.append(panel.svg);
    panel.cell = cell;
    const lead = !panel.shared || this.panels.findIndex((p) => p.shared) === n;
    if (lead) {
      const name = [this.given.title, panel.shared ? "" : panel.given.title].filter(Boolean).join(", ");
      for (const [key, value] of Object.entries({ tabindex: 0, role: "slider", "aria-label": name, "aria-valuemin": 1, "aria-valuemax": panel.axis.n, "aria-valuenow": 1, "aria-valuetext": "Arrow keys read the values" })) cell.setAttribute(key, value);
      cell.addEventListener("keydown", (event) => this._key_down(event, panel));
      cell.addEventListener("blur", () => this.point(panel, null));
    } else panel.svg.setAttribute("aria-hidden", "true");
    pointing(this, panel);
    return cell;
  }

  draw() {
    if (this.root.hidden || !this.root.clientWidth) return;
    const views = new Map(this.panels.map((p) => [p, p.shared ? this.view : p.axis.whole]));
    const lefts = { true: 0, false: 0 };
    for (const panel of this.panels) {
      const many = String((panel.given.row ?? 1) > 1);
      lefts[many] = Math.max(lefts[many], panel.measure(views.get(panel), this.hidden));
    }
    const widths = this.panels.map((p) => p.cell.clientWidth); // read all, then write
    this.panels.forEach((panel, n) => panel.draw(widths[n], lefts[String((panel.given.row ?? 1) > 1)], views.get(panel), this.hidden));
    if (this.all) {
      const whole = this.axis.whole;
      this.all.hidden = this.view[0] <= whole[0] && this.view[1] >= whole[1];
    }
    this.tip.hidden = true;
  }

  // Zoom

  look([low, high]) {
    const [least, most] = this.axis.whole;
    const span = Math.min(most - least, Math.max(high - low, 4 * this.axis.step));
    const middle = (low + high) / 2;
    const from = Math.min(Math.max(middle - span / 2, least), most - span);
    this.view = [from, from + span];
    this.draw();
  }

  zoom(factor, at = (this.view[0] + this.view[1]) / 2) {
    this.look([at - factor * (at - this.view[0]), at + factor * (this.view[1] - at)]);
  }

  pan(share) {
    const by = share * (this.view[1] - this.view[0]);
    this.look([this.view[0] + by, this.view[1] + by]);
  }

  // Reading

  /** The values at place k of a panel's axis, in a box beside it; null takes it away. */
  point(panel, k, keys = false) {
    const together = panel.shared ? this.panels.filter((p) => p.shared) : [panel];
    const count = together.reduce((sum, p) => sum + p.traces.length, 0);
    const read = count <= MOST && panel.shared ? together : [panel];
    for (const other of together) other.point(k, this.hidden);
    this.place = k;
    this.tip.hidden = k === null;
    if (k === null) return "";
    const rows = read.flatMap((p) => p.readings(k, this.hidden));
    const head = panel.axis.words(k);
    this.tip.replaceChildren(element("b", "", head));
    for (const [trace, words] of rows) {
      const row = element("div", "plot-reading");
      row.append(swatch(trace), element("span", "", trace.name), element("span", "number", words));
      this.tip.append(row);
    }
    this._beside(panel, k);
    const words = `${head}: ${rows.map(([trace, value]) => `${trace.name} ${value}`).join(", ") || "no value"}`;
    if (keys) {
      const lead = panel.shared ? this.panels.find((p) => p.shared) : panel;
      lead.cell.setAttribute("aria-valuenow", k + 1);
      lead.cell.setAttribute("aria-valuetext", words);
    }
    return words;
  }

  _beside(panel, k) {
    const x = panel.cell.offsetLeft + panel.left + panel.across(panel.axis.value(k));
    const { offsetWidth: wide } = this.tip;
    const room = this.root.clientWidth;
    const left = x + 14 + wide <= room ? x + 14 : Math.max(0, x - 14 - wide);
    this.tip.style.left = `${Math.min(left, room - wide)}px`;
    this.tip.style.top = `${panel.cell.offsetTop + panel.top + 8}px`;
  }

  _key_down(event, panel) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { axis } = panel;
    const [low, high] = panel.shared ? this.view : axis.whole;
    const from = axis.after(low), to = axis.nearest(high);
    const now = this.place ?? (event.key === "ArrowLeft" ? to + 1 : from - 1);
    const moves = { ...STEP, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      const by = moves[event.key] * (event.shiftKey ? 10 : 1);
      const k = Math.min(axis.n - 1, Math.max(0, now + by));
      const inside = Number.isFinite(by) ? k : by < 0 ? 0 : axis.n - 1;
      this._follow(panel, inside);
      this.point(panel, inside, true);
    } else if (panel.shared && (event.key === "+" || event.key === "=")) this._near(panel, 0.5);
    else if (panel.shared && (event.key === "-" || event.key === "−")) this._near(panel, 2);
    else if (event.key === "Escape") {
      this.point(panel, null);
      if (panel.shared) this.look(this.axis.whole);
    } else return;
    event.preventDefault();
  }

  /** Zoom about the place that is read. */
  _near(panel, factor) {
    const k = this.place;
    this.zoom(factor, k === null || k === undefined ? undefined : this.axis.value(k));
    if (k !== null && k !== undefined) this.point(panel, k, true);
  }

  /** Keep the place that is read in view. */
  _follow(panel, k) {
    if (!panel.shared) return;
    const v = this.axis.value(k);
    const span = this.view[1] - this.view[0];
    if (v < this.view[0]) this.look([v - 0.1 * span, v + 0.9 * span]);
    else if (v > this.view[1]) this.look([v - 0.9 * span, v + 0.1 * span]);
  }
}

/** Pointing with a mouse or finger: read; drag across to zoom (a finger reads); with Shift held, move the range. */
function pointing(figure, panel) {
  const { svg } = panel;
  let from = null, view = null;
  const place = (event) => event.clientX - svg.getBoundingClientRect().left - panel.left;
  const value = (px) => panel.view[0] + (px / panel.wide) * (panel.view[1] - panel.view[0]);
  svg.addEventListener("pointermove", (event) => {
    const x = place(event);
    if (from !== null && view) return figure.look(view.map((v) => v - ((x - from) / panel.wide) * (view[1] - view[0])));
    if (from !== null && Math.abs(x - from) > 4) {
      const [a, b] = [Math.max(0, Math.min(from, x)), Math.min(panel.wide, Math.max(from, x))];
      panel.chosen.setAttribute("x", panel.left + a);
      panel.chosen.setAttribute("width", Math.max(0, b - a));
    }
    const k = panel.axis.nearest(value(x));
    if (x > -8 && x < panel.wide + 8) figure.point(panel, k);
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return void figure.point(panel, panel.axis.nearest(value(place(event))));
    if (!panel.shared || event.button !== 0) return;
    from = place(event);
    view = event.shiftKey ? figure.view : null;
    svg.setPointerCapture(event.pointerId);
    event.preventDefault(); // selects no text
  });
  svg.addEventListener("pointerup", (event) => {
    if (from !== null && !view && Math.abs(place(event) - from) > 6) {
      const ends = [value(Math.max(0, from)), value(Math.min(panel.wide, place(event)))];
      figure.look([Math.min(...ends), Math.max(...ends)]);
    }
    from = view = null;
    panel.chosen?.setAttribute("width", 0);
  });
  svg.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && from === null && figure.point(panel, null));
  svg.addEventListener("dblclick", () => panel.shared && figure.look(figure.axis.whole));
  svg.addEventListener("wheel", (event) => {
    if (!panel.shared || !(event.ctrlKey || event.metaKey)) return; // the page itself scrolls
    event.preventDefault();
    figure.zoom(Math.exp(0.002 * Math.max(-200, Math.min(200, event.deltaY))), value(place(event)));
  }, { passive: false });
}

/** A trace's look, small. */
function swatch(trace) {
  const svg = make("svg", { width: 22, height: 12, viewBox: "0 0 22 12", "aria-hidden": "true" });
  const look = `p-${trace.look}`;
  if (trace.kind === "points") svg.append(make("path", { d: mark(11, 6, trace.marker ?? "dot", trace.marker === "dot" ? 3 : 4.5), class: `plot-mark ${look}${trace.hollow ? " hollow" : ""}` }));
  else if (trace.kind === "band" || trace.kind === "boxes") svg.append(make("rect", { x: 0, y: 1, width: 22, height: 10, class: `plot-band ${look}`, "fill-opacity": trace.opacity ?? 1 }));
  else svg.append(make("line", { x1: 0, x2: 22, y1: 6, y2: 6, class: `plot-line ${look}`, "stroke-width": 2, "stroke-dasharray": DASHES[trace.dash] }));
  return svg;
}
