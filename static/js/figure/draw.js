// Shapes in SVG. A line of many values is drawn by what each column of pixels holds: first, least, most, last.

export const DASHES = { dashed: "7 3", dotted: "2 3", dashdot: "8 3 2 3" };
const NAMESPACE = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...inside) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

const short = (v) => v.toFixed(1);

/** The path of a line over points k in [from, to); across and up give pixels, NaN for a gap. */
export function linePath(from, to, across, up, width) {
  const dense = to - from > 3 * width;
  const parts = [];
  let pen = false;
  let column = NaN, least = 0, most = 0, last = 0;
  const flush = () => {
    if (Number.isNaN(column)) return;
    if (least !== most) parts.push(`L${column} ${short(least)}L${column} ${short(most)}`);
    parts.push(`L${column} ${short(last)}`);
    column = NaN;
  };
  for (let k = from; k < to; k++) {
    const y = up(k);
    if (Number.isNaN(y)) {
      flush();
      pen = false;
      continue;
    }
    const x = across(k);
    if (!pen) {
      flush();
      parts.push(`M${short(x)} ${short(y)}`);
      // A value with gaps at both sides is a dot, drawn as a line of no length with round ends.
      if (k + 1 >= to || Number.isNaN(up(k + 1))) parts.push(`L${short(x)} ${short(y)}`);
      pen = true;
    } else if (!dense) parts.push(`L${short(x)} ${short(y)}`);
    else {
      const here = Math.round(x);
      if (here !== column) {
        flush();
        [column, least, most] = [here, y, y];
      }
      least = Math.min(least, y);
      most = Math.max(most, y);
      last = y;
    }
  }
  flush();
  return parts.join("");
}

/** The outline of a band: along its upper edge and back along the lower, one shape for each stretch without gaps. */
export function bandPath(from, to, across, upper, lower, width) {
  const step = Math.max(1, Math.floor((to - from) / (2 * width)));
  const shapes = [];
  let high = [], low = [];
  const close = () => {
    if (high.length > 1) shapes.push(`M${high.join("L")}L${low.reverse().join("L")}Z`);
    [high, low] = [[], []];
  };
  for (let k = from; k < to; k += step) {
    let up = Infinity, down = -Infinity; // pixels run down
    for (let j = k; j < Math.min(k + step, to); j++) {
      const [a, b] = [upper(j), lower(j)];
      if (Number.isNaN(a) || Number.isNaN(b)) continue;
      up = Math.min(up, a, b);
      down = Math.max(down, a, b);
    }
    if (up > down) {
      close();
      continue;
    }
    const x = short(across(Math.min(k + step - 1, to - 1)));
    high.push(`${x} ${short(up)}`);
    low.push(`${x} ${short(down)}`);
  }
  close();
  return shapes.join("");
}

/** Marks as one path; marks that fall on the same pixel are drawn once. */
export function marksPath(places, marker, size) {
  const seen = new Set();
  const parts = [];
  for (const [x, y] of places) {
    const name = `${Math.round(x)} ${Math.round(y)}`;
    if (seen.has(name)) continue;
    seen.add(name);
    parts.push(mark(x, y, marker, size));
  }
  return parts.join("");
}

export function mark(x, y, marker, r) {
  if (marker === "triangle") return `M${short(x)} ${short(y - 1.1 * r)}l${short(r)} ${short(1.9 * r)}h${short(-2 * r)}Z`;
  if (marker === "square") return `M${short(x - 0.9 * r)} ${short(y - 0.9 * r)}h${short(1.8 * r)}v${short(1.8 * r)}h${short(-1.8 * r)}Z`;
  return `M${short(x - r)} ${short(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
}
