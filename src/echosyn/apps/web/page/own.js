import { call, upload } from "./api.js";
import { beatCard, pairCard } from "./show.js";
import { $, busy, chosen, linked, seconds, toast, views } from "./ui.js";

let clip = null;
let limit = 0;

export function own(known) {
  views($("own-view"), "own-view", known.views);
  limit = known.limits.upload_bytes;
  $("upload-limit").textContent = `${Math.round(limit / 1e6)} MB`;
  linked($("own-ef"), $("own-ef-out"), (ef) => `${ef} %`);
  linked($("own-frames"), $("own-frames-out"), (frames) => seconds(frames));
  $("file").addEventListener("change", () => { if ($("file").files.length) bring($("file").files[0]); $("file").value = ""; });
  for (const name of ["dragover", "dragleave", "drop"]) {
    $("drop").addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) bring(event.dataTransfer.files[0]);
    });
  }
  for (const name of ["x", "y", "side"]) $(`crop-${name}`).addEventListener("input", () => place(name));
  dragging();
  $("own-form").addEventListener("submit", (event) => { event.preventDefault(); animate(); });
  $("reproduce").addEventListener("click", reproduce);
}

const buttons = () => [$("animate"), $("reproduce"), $("file")];

async function bring(file) {
  if (file.size > limit) { toast(new Error(`${file.name} has ${Math.round(file.size / 1e6)} MB; the limit is ${Math.round(limit / 1e6)} MB.`)); return; }
  const found = await busy($("own-busy"), `Reading ${file.name}`, buttons(), async (job, tell) => call("look", [await upload(file)], tell));
  if (!found) return;
  clip = found;
  $("own-empty").hidden = true;
  $("crop").hidden = false;
  $("own-picture").src = clip.picture;
  const length = clip.frames > 1 ? `, ${seconds(clip.frames, clip.fps)}` : "";
  $("own-facts").textContent = `${clip.kind}, ${clip.width} x ${clip.height}${length}`;
  $("crop-side").max = Math.min(clip.width, clip.height);
  $("crop-side").value = clip.crop.side;
  $("crop-x").max = clip.width;
  $("crop-y").max = clip.height;
  $("crop-x").value = clip.crop.x;
  $("crop-y").value = clip.crop.y;
  place("side");
  $("own-result").replaceChildren();
  $("animate").disabled = false;
  $("reproduce").disabled = clip.frames < 16;
}

const crop = () => ["x", "y", "side"].map((name) => Number($(`crop-${name}`).value));

function place(changed) {
  const side = Number($("crop-side").value);
  for (const [name, size] of [["x", clip.width], ["y", clip.height]]) {
    const input = $(`crop-${name}`);
    input.max = size - side;
    if (changed === "side") input.value = Math.min(Number(input.value), size - side);
  }
  const [x, y] = crop();
  const share = (value, of) => `${(100 * value) / of}%`;
  Object.assign($("crop-frame").style, { left: share(x, clip.width), top: share(y, clip.height), width: share(side, clip.width), height: share(side, clip.height) });
}

function dragging() {
  let from = null;
  const picture = $("picture");
  picture.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, ...crop()]; picture.setPointerCapture(event.pointerId); });
  picture.addEventListener("pointerup", () => { from = null; });
  picture.addEventListener("pointermove", (event) => {
    if (!from || !clip) return;
    const scale = clip.width / picture.clientWidth;
    $("crop-x").value = from[2] + (event.clientX - from[0]) * scale;
    $("crop-y").value = from[3] + (event.clientY - from[1]) * scale;
    place("x");
  });
}

async function animate() {
  if (!clip) return;
  const values = [clip.clip, crop(), chosen("own-view"), Number($("own-ef").value), Number($("own-frames").value), 0, "", 0];
  const made = await busy($("own-busy"), "Making it beat", buttons(), (job, tell) => call("animate", [...values, job], tell));
  if (made) $("own-result").replaceChildren(beatCard(made, "Your frame, beating"));
}

async function reproduce() {
  if (!clip) return;
  const made = await busy($("own-busy"), "Reproducing the clip", buttons(), (job, tell) => call("reproduce", [clip.clip, crop(), chosen("own-view"), 0, job], tell));
  if (made) $("own-result").replaceChildren(pairCard(made));
}
