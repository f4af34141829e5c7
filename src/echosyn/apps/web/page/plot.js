// Curves as SVG.

const SVG = "http://www.w3.org/2000/svg";
const SIZES = { normal: 640, narrow: 340, broad: 1120 };
const phone = matchMedia("(max-width: 36rem)");

/** Units of a plot's width: about its pixels, so that its letters keep their size. */
const width = (kind) => SIZES[phone.matches ? "narrow" : kind];

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function canvas(wide, height, label) {
  return svg("svg", { class: "plot", viewBox: `0 0 ${wide} ${height}`, role: "img", "aria-label": label });
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** Area of the left ventricle over time; a line runs with the video. `other` is a second curve with its own rate. */
export function areaCurve(areas, fps, video, { other = null, narrow = false } = {}) {
  if (!areas.length) return null;
  const wide = width(narrow ? "narrow" : "normal"), height = narrow ? 150 : 190, left = 46, bottom = height - 26, top = 14;
  const all = other ? [...areas, ...other.areas] : areas;
  const high = Math.max(...all) * 1.04, low = Math.min(...all) * 0.92;
  const length = Math.max(areas.length / fps, other ? other.areas.length / other.fps : 0);
  const x = (t) => left + (t / length) * (wide - left - 8);
  const y = (area) => bottom - ((area - low) / (high - low)) * (bottom - top);
  const [most, least] = [Math.max(...areas), Math.min(...areas)].map(Math.round);
  const plot = canvas(wide, height, `Left-ventricular area over ${(areas.length / fps).toFixed(1)} seconds, between ${least} and ${most} square pixels`);
  for (const area of [most, least]) {
    plot.append(svg("line", { class: "axis", x1: left, x2: wide - 8, y1: y(area), y2: y(area) }), svg("text", { x: left - 6, y: y(area) + 4, "text-anchor": "end" }, String(area)));
  }
  for (let t = 0; t <= length + 1e-6; t += length > 4 ? 1 : 0.5) plot.append(svg("text", { x: x(t), y: height - 6, "text-anchor": t > length - 0.1 ? "end" : "middle" }, `${t} s`));
  const curve = (values, rate, kind) => svg("path", { class: `line ${kind}`, d: path(values.map((area, i) => [x(i / rate), y(area)])) });
  if (other) plot.append(curve(other.areas, other.fps, "other"));
  plot.append(curve(areas, fps, ""));
  const cursor = svg("line", { class: "cursor", y1: top - 6, y2: bottom, x1: left, x2: left });
  plot.append(cursor);
  const run = () => {
    if (!plot.isConnected && run.begun) return;
    run.begun ||= plot.isConnected;
    const at = x(Math.min(video.currentTime, length)).toFixed(1);
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    requestAnimationFrame(run);
  };
  requestAnimationFrame(run);
  return plot;
}

/** Where a sample lies among held-out patients: their scores as a band, the threshold, and the sample. */
export function gauge(verdict) {
  const wide = width("normal"), height = 92, base = 58, scores = verdict.strangers;
  const low = Math.min(scores[0], verdict.score) - 0.2, high = Math.max(scores.at(-1), verdict.score, verdict.threshold) + 0.3;
  const x = (score) => 6 + ((score - low) / (high - low)) * (wide - 12);
  const words = verdict.status === "kept" ? "below" : "above";
  const plot = canvas(wide, height, `Similarity ${verdict.score.toFixed(2)}, ${words} the threshold of ${verdict.threshold.toFixed(2)}, among the similarities of held-out patients`);
  const density = (at) => scores.reduce((sum, score) => sum + Math.exp(-(((at - score) / 0.3) ** 2) / 2), 0);
  const places = Array.from({ length: 81 }, (_, i) => low + ((high - low) * i) / 80);
  const most = Math.max(...places.map(density));
  const hill = places.map((at) => [x(at), base - 42 * (density(at) / most)]);
  plot.append(
    svg("rect", { class: "zone", x: x(verdict.threshold), y: 8, width: wide - 6 - x(verdict.threshold), height: base - 8 }),
    svg("path", { class: "cloud", d: `M${x(low)} ${base}${path(hill).replace("M", "L")}L${x(high)} ${base}Z` }),
    svg("line", { class: "axis", x1: 6, x2: wide - 6, y1: base, y2: base }),
    svg("line", { class: "limit", x1: x(verdict.threshold), x2: x(verdict.threshold), y1: 8, y2: base }),
    svg("circle", { class: "mark", cx: x(verdict.score), cy: base, r: 7 }));
  const mark = Math.min(Math.max(x(verdict.score), 40), wide - 40), limit = Math.min(Math.max(x(verdict.threshold), 60), wide - 60);
  const apart = Math.abs(mark - limit) > 105;
  plot.append(svg("text", { x: mark, y: base + 22, "text-anchor": "middle" }, "this still"));
  plot.append(svg("text", { x: limit, y: apart ? base + 22 : base + 36, "text-anchor": "middle" }, "rejected from here"));
  return plot;
}

/** EF of one or two sets of videos, as shares of each. */
export function histogram(sets) {
  const broad = width("broad"), height = 200, left = 40, bottom = height - 40, top = 10;
  const edges = sets[0].edges, count = edges.length - 1;
  const shares = sets.map(({ counts }) => { const all = counts.reduce((a, b) => a + b, 0) || 1; return counts.map((c) => c / all); });
  const most = Math.max(0.01, ...shares.flat());
  const slot = (broad - left - 8) / count, each = (slot - 3) / sets.length;
  const plot = canvas(broad, height, `Histogram of ejection fractions: ${sets.map((s) => s.name).join(" and ")}`);
  shares.forEach((set, s) => set.forEach((share, i) => {
    const tall = (share / most) * (bottom - top);
    if (tall > 0) plot.append(svg("rect", { class: `bar${s ? " other-bar" : ""}`, x: left + i * slot + s * each, y: bottom - tall, width: each, height: tall, rx: 1.5 }));
  }));
  plot.append(svg("line", { class: "axis", x1: left, x2: broad - 8, y1: bottom, y2: bottom }));
  plot.append(svg("text", { x: left - 6, y: top + 8, "text-anchor": "end" }, `${Math.round(most * 100)} %`));
  edges.forEach((edge, i) => { if (i % 4 === 0) plot.append(svg("text", { x: left + i * slot, y: bottom + 16, "text-anchor": "middle" }, String(edge))); });
  plot.append(svg("text", { x: (left + broad) / 2, y: height - 6, "text-anchor": "middle" }, "Ejection fraction (%)"));
  return plot;
}
