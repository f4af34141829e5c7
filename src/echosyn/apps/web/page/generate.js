import { call } from "./api.js";
import { beatCard, heartCard, threeCard } from "./show.js";
import { $, busy, chosen, el, kindOf, linked, percent, seconds, toast, views } from "./ui.js";

let heart = null;
const visit = [];

export function generate(known) {
  views($("generate-view"), "view", known.views);
  for (const name of known.solvers) $("scheduler").append(el("option", { value: name }, name));
  const [low, high] = known.limits.steps;
  Object.assign($("steps"), { min: low, max: high });
  $("seed").max = known.limits.seed[1];
  linked($("ef"), $("ef-out"), (ef) => `${ef} %`);
  $("ef").addEventListener("input", hint);
  hint();
  linked($("frames"), $("frames-out"), (frames) => seconds(frames));
  $("dice").addEventListener("click", () => { $("seed").value = Math.floor(Math.random() * 1e6); });
  const note = known.shipped
    ? "These models were trained on procedural phantoms, so there is no patient to protect here; the same check runs on your own models. "
    : "";
  const more = "A typical held-out patient has similarity 0; the privacy page of the manual explains the calibration.";
  $("invent-form").addEventListener("submit", (event) => { event.preventDefault(); invent(note + more); });
  $("beat-form").addEventListener("submit", (event) => { event.preventDefault(); beat(); });
  $("three").addEventListener("click", three);
  $("forget").addEventListener("click", () => { visit.length = 0; list(); });
}

function hint() {
  $("ef-hint").textContent = `${kindOf(Number($("ef").value))}; 40 % and below is reduced`;
}

function reveal(place) {
  const narrow = matchMedia("(max-width: 52rem)").matches;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  place.scrollIntoView({ block: narrow ? "start" : "nearest", behavior: calm ? "auto" : "smooth" });
}

const buttons = () => [$("invent"), $("beat"), $("three")];

async function invent(note) {
  const seed = Number($("seed").value), view = chosen("view");
  const found = await busy($("generate-busy"), "Sampling a still", buttons(), (job, tell) => call("invent", [view, seed, job], tell));
  if (!found) return;
  heart = found;
  $("generate-empty").hidden = true;
  $("heart").replaceChildren(heartCard(heart, note));
  $("beats").replaceChildren();
  reveal($("heart"));
  const free = heart.verdict.status !== "rejected";
  for (const button of [$("beat"), $("three")]) button.disabled = !free;
}

function asked(ef) {
  return [heart.view, heart.seed, ef, Number($("frames").value), Number($("steps").value) || 0, $("scheduler").value];
}

async function beat() {
  if (!heart) return;
  const made = await busy($("generate-busy"), "Making it beat", buttons(), (job, tell) => call("beat", [...asked(Number($("ef").value)), job], tell));
  if (!made) return;
  show(made);
  remember(made, heart);
}

function show(made) {
  $("beats").replaceChildren(beatCard(made, `Seed ${made.seed}, ${made.view.toUpperCase()}`));
  reveal($("beats"));
}

async function three() {
  if (!heart) return;
  const all = [];
  const done = await busy($("generate-busy"), "Animating at three EFs", buttons(), async (job, tell) => {
    for (const [i, ef] of [25, 45, 65].entries()) {
      all.push(await call("beat", [...asked(ef), job], ({ waiting, share }) => tell({ waiting, share: typeof share === "number" ? (i + share) / 3 : undefined })));
    }
    return true;
  });
  if (!done) return;
  $("beats").replaceChildren(threeCard(all));
  reveal($("beats"));
  for (const made of all) remember(made, heart);
}

function remember(made, whose) {
  visit.unshift({ made, whose });
  visit.length = Math.min(visit.length, 24);
  list();
}

function list() {
  $("history").hidden = !visit.length;
  $("history-list").replaceChildren(...visit.map(({ made, whose }) => el("li", {}, el("button", { type: "button", class: "thumb", onclick: () => again(made, whose) },
    el("img", { src: whose.picture, alt: "" }), el("span", {}, `EF ${percent(made.requested_ef)}`, el("span", {}, `seed ${made.seed}, ${made.view.toUpperCase()}`))))));
}

async function again(made, whose) {
  const there = await fetch(made.files.mp4, { method: "HEAD" });
  if (!there.ok) { toast(new Error("This video was removed to make room. Make it again: the same settings give the same video.")); return; }
  heart = whose;
  $("seed").value = heart.seed;
  for (const button of [$("beat"), $("three")]) button.disabled = false;
  show(made);
}
