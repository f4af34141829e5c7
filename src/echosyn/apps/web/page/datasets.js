import { call } from "./api.js";
import { histogram } from "./plot.js";
import { $, busy, el, film, percent } from "./ui.js";

const PAGE = 24;
let first = { left: 0, right: 0 };

export function datasets(known) {
  const found = known.folders.filter((folder) => folder.dataset);
  for (const name of ["left", "right"]) $(name).append(...found.map((folder) => el("option", { value: folder.key }, folder.name)));
  if (found.length > 1) $("right").value = String(found[1].key);
  $("filters").addEventListener("submit", (event) => { event.preventDefault(); first = { left: 0, right: 0 }; show(); });
  if (!found.length) {
    $("filters").hidden = true;
    $("sides").replaceChildren(el("div", { class: "card empty" }, el("p", {}, "No dataset to show. Start the server with ", el("code", {}, "echosyn demo --folder DATASET"), ".")));
  }
}

export function reports(known) {
  const all = known.folders.flatMap((folder) => folder.reports.map((report, number) => ({ ...report, folder, number })));
  $("report").append(el("option", { value: "" }, "choose a report"), ...all.map(({ folder, number, title, name }) =>
    el("option", { value: `/report/${folder.key}/${number}` }, `${folder.name}: ${title} (${name})`)));
  $("report").addEventListener("change", () => {
    const source = $("report").value;
    $("report-shown").replaceChildren(...(source ? [el("iframe", { class: "reading", src: source, sandbox: "allow-scripts", title: "Report" })] : []));
  });
  if (!all.length) {
    $("report").closest(".filters").hidden = true;
    $("report-shown").replaceChildren(el("div", { class: "card empty" }, el("p", {}, "No report to show. Start the server with ", el("code", {}, "echosyn demo --folder RELEASE"), " or with the OUT folder of evaluate or audit.")));
  }
}

async function show() {
  const sides = ["left", "right"].filter((name) => $(name).value !== "");
  const filters = [$("split").value, Number($("low").value || 0), Number($("high").value || 100), $("text").value];
  const found = await busy($("datasets-busy"), "Reading", [], async (job, tell) => {
    const all = [];
    for (const side of sides) all.push(await call("dataset", [Number($(side).value), ...filters, first[side]], tell));
    return all;
  });
  if (!found) return;
  $("histogram").replaceChildren(el("div", { class: "card" }, el("h2", {}, "Ejection fractions"), el("p", { class: "hint" }, "Share of the videos that match the filters", ...found.flatMap((each, i) => [el("span", { class: i ? "key other" : "key", "aria-hidden": "true" }), each.name])),
    histogram(found.map((each) => ({ ...each.histogram, name: each.name })))));
  $("sides").replaceChildren(...found.map((each, i) => side(each, sides[i])));
  watch();
}

function side(each, name) {
  const key = $(name).value, last = Math.min(each.first + PAGE, each.found);
  const mean = each.mean_ef === null ? "" : `, mean EF ${each.mean_ef.toFixed(1)} %`;
  const step = (by) => () => { first[name] = Math.max(0, each.first + by); show(); };
  return el("section", { class: `card side ${name}`, "aria-label": each.name },
    el("h2", {}, each.name), el("p", { class: "hint" }, `${each.found} of ${each.total} videos${mean}`),
    el("div", { class: "grid" }, ...each.videos.map((one) => tile(one, key))),
    each.found > PAGE ? el("div", { class: "more" },
      el("button", { type: "button", class: "second", onclick: step(-PAGE), disabled: each.first === 0 }, "Previous"),
      el("button", { type: "button", class: "second", onclick: step(PAGE), disabled: last >= each.found }, "Next"),
      el("span", { class: "hint" }, `${each.first + 1} to ${last}`)) : null);
}

function tile(one, key) {
  const video = film("", `${one.name}, EF ${percent(one.ef)}`);
  video.removeAttribute("src");
  video.dataset.source = `/video/${key}?name=${encodeURIComponent(one.name)}`;
  const ef = one.ef === null ? "EF unknown" : `EF ${one.ef.toFixed(0)} %`;
  return el("figure", {}, video, el("figcaption", {}, el("b", {}, one.name), el("span", {}, [ef, one.view, one.split].filter(Boolean).join(", "))));
}

function watch() {
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !target.src) target.src = target.dataset.source;
    }
  }, { rootMargin: "200px" });
  for (const video of document.querySelectorAll("video[data-source]")) seen.observe(video);
}
