// Small SVG charts. Text goes in as text nodes only: names of keys and functions may hold anything.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 72;
const LEAST_SECONDS = 60;

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Points of a line by pieces: nothing is drawn where nothing was measured.
function pieces(xs, values, top) {
  const found = [];
  let piece = [];
  values.forEach((value, at) => {
    if (value === null) {
      if (piece.length) found.push(piece);
      piece = [];
    } else {
      piece.push([xs[at], HEIGHT - 3 - (value / top) * (HEIGHT - 6)]);
    }
  });
  if (piece.length) found.push(piece);
  return found;
}

function written(points) {
  return points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
}

function drawn(xs, values, top, label, className) {
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label, class: className,
  });
  for (const piece of pieces(xs, values, top)) {
    const [first, last] = [piece[0][0], piece.at(-1)[0]];
    if (piece.length > 1) {
      svg.append(shape("polygon", { points: `${first},${HEIGHT} ${written(piece)} ${last},${HEIGHT}` }));
    }
    // A single point is a short dash, or it could not be seen.
    const line = piece.length > 1 ? piece : [[first - 1, piece[0][1]], [first + 1, piece[0][1]]];
    svg.append(shape("polyline", { points: written(line) }));
  }
  return svg;
}

// How many seconds a line is wide: what there is, but a minute at least.
export function spanOf(at) {
  return Math.max(LEAST_SECONDS, Math.round((at.at(-1) ?? 0) - (at[0] ?? 0)));
}

export function timeLine(at, values, { top, label }) {
  const now = at.at(-1) ?? 0;
  const span = spanOf(at);
  const xs = at.map((each) => WIDTH * (1 - (now - each) / span));
  return drawn(xs, values, top, label, "chart");
}

export function spark(values, label) {
  const step = WIDTH / Math.max(1, values.length - 1);
  return drawn(values.map((_, at) => at * step), values, 1, label, "spark");
}

// One bar of several parts, as wide as their shares.
export function stacked(parts, label) {
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  const svg = shape("svg", {
    viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": label, class: "stack",
  });
  let left = 0;
  for (const part of parts) {
    if (!part.count) continue;
    const width = (100 * part.count) / total;
    svg.append(shape("rect", { x: left, y: 0, width: Math.max(width - 0.4, 0.4), height: 10, class: part.name },
      shape("title", {}, document.createTextNode(`${part.text}: ${part.count}`))));
    left += width;
  }
  return svg;
}
