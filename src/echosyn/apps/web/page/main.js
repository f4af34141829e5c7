import { about } from "./api.js";
import { datasets, reports } from "./datasets.js";
import { generate } from "./generate.js";
import { own } from "./own.js";
import { $, el, pausing, tabs, themes, toast } from "./ui.js";

const STATES = { loading: "Loading the models", ready: "Ready", failed: "The models could not be loaded" };

async function start() {
  themes($("theme"));
  pausing($("pause"));
  tabs();
  let known = await about();
  datasets(known);
  reports(known);
  api(known);
  $("logout").hidden = !known.login;
  $("foot").textContent = `echosyn ${known.version}, ${known.models}`;
  $("invent").disabled = true;
  for (;;) {
    $("status").className = `status ${known.state}`;
    $("status-text").textContent = STATES[known.state];
    if (known.state !== "loading") break;
    await new Promise((resolve) => setTimeout(resolve, 400));
    known = await about();
  }
  if (known.state === "failed") { toast(new Error(known.failure)); return; }
  generate(known);
  own(known);
  $("invent").disabled = false;
}

function api(known) {
  const view = known.shipped ? "a4c" : "";
  const python = `from gradio_client import Client

page = Client("${location.origin}")
heart = page.predict(view="${view}", seed=7, api_name="/invent")
print(heart["verdict"]["words"])
video = page.predict(view="${view}", seed=7, ef=60, frames=64, api_name="/beat")
print(video["measured_ef"], video["files"]["avi"])`;
  const shell = `curl -s ${location.origin}/gradio_api/call/v2/invent -H 'Content-Type: application/json' -d '{"view": "${view}", "seed": 7}'
curl -s -N ${location.origin}/gradio_api/call/v2/invent/EVENT_ID

curl -s ${location.origin}/upload --data-binary @clip.avi -H 'Content-Type: application/octet-stream'`;
  $("api").replaceChildren(
    el("h2", {}, "Python"), el("pre", { tabindex: 0 }, python),
    el("h2", {}, "Any program"), el("pre", { tabindex: 0 }, shell),
    el("p", { class: "hint" }, "Calls: invent, beat, look, animate, reproduce, dataset. look takes the name that /upload returns; the page itself makes exactly these calls."));
}

start().catch(toast);
