// Elements, messages, waiting. Text only ever enters as text.

import { newName, stop } from "./api.js";

export const $ = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function toast(error) {
  if (error?.message === "stopped") return;
  const close = el("button", { type: "button", onclick: () => shown.remove() }, "Close");
  const shown = el("div", { class: "toast" }, el("span", {}, error?.message ?? String(error)), close);
  $("toasts").replaceChildren(shown);
  setTimeout(() => shown.remove(), 15000);
}

export const percent = (value) => (value === null || value === undefined ? "not found" : `${Math.round(value)} %`);
export const seconds = (frames, fps = 32) => `${frames} frames, ${(frames / fps).toFixed(1)} s`;

export function kindOf(ef) {
  if (ef < 41) return "reduced";
  return ef < 50 ? "mildly reduced" : "preserved";
}

/** Run `work(job, tell)` with a bar and a button to stop, and the given buttons disabled; undefined if it failed. */
export async function busy(place, what, buttons, work) {
  const job = newName();
  let stopping = false;
  const text = el("p", { role: "status" }, `${what}…`);
  const bar = el("progress", { max: 1, "aria-label": what });
  const cancel = el("button", { type: "button", class: "quiet", onclick: () => { stopping = true; stop(job); text.textContent = "Stopping…"; } }, "Stop");
  place.replaceChildren(el("div", { class: "card busy" }, el("div", { class: "between" }, text, cancel), bar));
  const were = buttons.map((button) => button.disabled);
  for (const button of buttons) button.disabled = true;
  const leaving = () => stop(job);
  window.addEventListener("pagehide", leaving);
  const tell = ({ waiting, share, what: step }) => {
    if (stopping) return;
    if (waiting) text.textContent = waiting === 1 ? "One call ahead of this one…" : `${waiting} calls ahead of this one…`;
    else if (step?.includes(", step ")) text.textContent = `${what}, ${step.split(", ").at(-1)}`;
    else text.textContent = `${what}…`;
    if (typeof share === "number") bar.value = share;
  };
  try {
    return await work(job, tell);
  } catch (error) {
    toast(error);
    return undefined;
  } finally {
    window.removeEventListener("pagehide", leaving);
    buttons.forEach((button, i) => { button.disabled = were[i]; });
    place.replaceChildren();
  }
}

const LABELS = { A4C: "Apical four-chamber", PSAX: "Short axis" };

export function views(fieldset, name, known) {
  const legend = fieldset.querySelector("legend");
  fieldset.replaceChildren(legend, ...known.map(({ id, view }, i) =>
    el("label", {}, el("input", { type: "radio", name, value: id, checked: i === 0 }), LABELS[view] ?? view)));
}

export const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value ?? "";

export function linked(input, output, text) {
  const update = () => { output.textContent = text(Number(input.value)); input.setAttribute("aria-valuetext", output.textContent); };
  input.addEventListener("input", update);
  update();
}

let stopped = matchMedia("(prefers-reduced-motion: reduce)").matches;

export function film(source, label, poster) {
  return el("video", { src: source, loop: true, muted: true, playsinline: true, autoplay: !stopped, controls: stopped, preload: "auto", "aria-label": label, poster,
    oncanplay: (event) => { event.target.muted = true; if (!stopped && event.target.paused) event.target.play().catch(() => {}); } });
}

export function pausing(button) {
  const show = () => {
    button.setAttribute("aria-pressed", String(stopped));
    button.textContent = stopped ? "Play videos" : "Pause videos";
    for (const video of document.querySelectorAll("video")) {
      video.controls = stopped;
      if (stopped) video.pause(); else video.play().catch(() => {});
    }
  };
  button.addEventListener("click", () => { stopped = !stopped; show(); });
  show();
}

export function themes(button) {
  const names = { "": "automatic", light: "light", dark: "dark" };
  const show = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    button.textContent = `Theme: ${names[theme]}`;
  };
  let theme = localStorage.getItem("theme") ?? "";
  if (!(theme in names)) theme = "";
  show(theme);
  button.addEventListener("click", () => {
    const order = Object.keys(names);
    theme = order[(order.indexOf(theme) + 1) % order.length];
    localStorage.setItem("theme", theme);
    show(theme);
  });
}

export function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')];
  const open = (tab, focus) => {
    for (const each of all) {
      const on = each === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
      $(each.getAttribute("aria-controls")).hidden = !on;
    }
    if (focus) tab.focus();
    history.replaceState(null, "", `#${tab.id.slice(4)}`);
  };
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  for (const [i, tab] of all.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : event.key in steps ? (i + steps[event.key] + all.length) % all.length : -1;
      if (to >= 0) { event.preventDefault(); open(all[to], true); }
    });
  }
  const asked = all.find((tab) => `#${tab.id.slice(4)}` === location.hash);
  if (asked) open(asked);
}
