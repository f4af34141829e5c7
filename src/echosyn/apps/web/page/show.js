// What was made, as cards.

import { areaCurve, gauge } from "./plot.js";
import { el, film, kindOf, percent } from "./ui.js";

const fact = (name, value, more) => el("div", {}, el("dt", {}, name), el("dd", {}, value, more ? el("small", {}, ` ${more}`) : null));

const signed = (value) => value.toFixed(2).replace("-", "\u2212");

const TITLES = { kept: "Kept: no close match", rejected: "Rejected: too close a match", unchecked: "Not checked" };

export function heartCard(heart, note) {
  const { verdict } = heart;
  const checked = verdict.status !== "unchecked";
  return el("article", { class: `card heart ${verdict.status}`, "data-verdict": verdict.status },
    el("img", { class: "pixels", src: heart.picture, alt: `Synthetic heart, seed ${heart.seed}` }),
    el("div", { class: "tell" },
      el("h2", { class: "badge" }, TITLES[verdict.status]),
      el("p", {}, verdict.words),
      checked ? el("dl", { class: "facts" },
        fact("Similarity", signed(verdict.score)),
        fact("Threshold", signed(verdict.threshold)),
        fact("Compared with", String(verdict.num_train), "patients")) : null,
      checked ? gauge(verdict) : null,
      el("p", { class: "hint" }, note)));
}

function downloads(made) {
  const names = { avi: "AVI", mp4: "MP4", gif: "GIF", json: "JSON" };
  return el("ul", { class: "downloads", "aria-label": "Download" }, ...Object.entries(names).map(([kind, name]) =>
    el("li", {}, el("a", { class: "button", href: `${made.files[kind]}?save=1`, download: `heart-ef${Math.round(made.requested_ef)}.${kind}` }, `Save ${name}`))));
}

function command(made) {
  if (!made.command) return null;
  const copy = el("button", { type: "button", class: "second", onclick: async () => {
    await navigator.clipboard.writeText(made.command).catch(() => {});
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  } }, "Copy");
  return el("div", {}, el("p", { class: "hint" }, "This command makes the same video, up to one grey level; generate OUT --replay with the JSON makes the same bytes:"), el("div", { class: "command" }, el("code", { tabindex: 0 }, made.command), copy));
}

function figures(made) {
  const off = made.measured_ef === null ? null : made.measured_ef - made.requested_ef;
  return el("dl", { class: "facts" },
    fact("Requested EF", percent(made.requested_ef), kindOf(made.requested_ef)),
    fact("Measured EF", percent(made.measured_ef), off === null ? "ventricle not found" : `${off < 0 ? "\u2212" : "+"}${Math.abs(off).toFixed(1)} points`));
}

const warning = (made) => (made.warning ? el("div", { class: "notice", role: "note" }, el("p", {}, made.warning)) : null);

export function beatCard(made, title) {
  const video = film(made.files.mp4, `${title}, requested EF ${percent(made.requested_ef)}`);
  const curve = areaCurve(made.areas, made.fps, video);
  return el("article", { class: "card result", "data-made": made.files.mp4 },
    el("h2", {}, title), warning(made),
    el("div", { class: "film" }, video, el("div", { class: "tell" }, figures(made),
      curve ? el("div", {}, el("p", { class: "hint" }, "Left-ventricular area in square pixels, tracked in the finished video"), curve) : el("p", { class: "hint" }, "The left ventricle was not found in this video."),
      downloads(made))),
    command(made));
}

export function threeCard(all) {
  return el("article", { class: "card result", "data-three": true },
    el("h2", {}, "One heart, three ejection fractions"),
    el("div", { class: "three" }, ...all.map((made) => {
      const video = film(made.files.mp4, `The heart with EF ${percent(made.requested_ef)}`);
      return el("figure", {}, video, areaCurve(made.areas, made.fps, video, { narrow: true }),
        el("figcaption", {}, el("b", {}, `EF ${percent(made.requested_ef)} requested`), el("span", {}, `${percent(made.measured_ef)} measured`)), downloads(made));
    })));
}

export function pairCard(made) {
  const real = film(made.real.video, "The uploaded clip"), copy = film(made.files.mp4, "Its reproduction");
  return el("article", { class: "card result", "data-pair": true },
    el("h2", {}, "The clip and its reproduction"), warning(made),
    el("div", { class: "two" },
      el("figure", {}, real, el("figcaption", {}, el("b", {}, "Uploaded"), el("span", {}, `EF ${percent(made.real.ef)} measured`))),
      el("figure", {}, copy, el("figcaption", {}, el("b", {}, "Reproduction"), el("span", {}, `EF ${percent(made.requested_ef)} requested, ${percent(made.measured_ef)} measured`)))),
    made.areas.length ? el("div", {}, el("p", { class: "hint" }, "Left-ventricular area in square pixels: reproduction (solid), uploaded clip (dashed). The beats do not coincide: the model chooses its own rhythm."),
      areaCurve(made.areas, made.fps, copy, { other: made.real })) : null,
    downloads(made));
}
