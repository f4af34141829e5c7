// gradio's queue: join, then listen until the call is done.

let numbers = null;

async function json(answer) {
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said(content.detail, answer.status));
  return content;
}

function said(detail, status) {
  if (status === 503 && /queue is full/i.test(String(detail))) return "Many calls are waiting; try again in a moment.";
  if (status === 401) return "Your login has expired; reload the page.";
  if (status === 413) return "The file is too large.";
  return typeof detail === "string" ? detail : `The server refused this (${status}).`;
}

export async function about() {
  return json(await fetch("/about"));
}

async function number(name) {
  if (numbers === null) {
    const config = await json(await fetch("/config"));
    numbers = new Map(config.dependencies.map((each) => [each.api_name, each.id]));
  }
  return numbers.get(name);
}

export function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The answer of a call; `tell({waiting, share, what})` hears how far it is. */
export async function call(name, values, tell = () => {}) {
  const session = newName();
  const body = { data: values, fn_index: await number(name), session_hash: session, event_data: null, trigger_id: null };
  const headers = { "Content-Type": "application/json" };
  await json(await fetch("/gradio_api/queue/join", { method: "POST", headers, body: JSON.stringify(body) }));
  return new Promise((resolve, reject) => {
    const stream = new EventSource(`/gradio_api/queue/data?session_hash=${session}`);
    const end = (settle, value) => { stream.close(); settle(value); };
    stream.onerror = () => end(reject, new Error("The connection to the server was lost."));
    stream.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.msg === "estimation") tell({ waiting: message.rank });
      else if (message.msg === "process_starts") tell({ waiting: 0 });
      else if (message.msg === "progress") {
        const [unit] = message.progress_data ?? [];
        if (unit) tell({ share: unit.progress, what: unit.desc });
      } else if (message.msg === "process_completed") {
        if (message.success && message.output?.data) end(resolve, message.output.data[0]);
        else end(reject, new Error(message.output?.error || "The call failed."));
      } else if (message.msg === "unexpected_error") end(reject, new Error(message.message || "The call failed."));
    };
  });
}

export function stop(job) {
  return fetch(`/stop/${job}`, { method: "POST", keepalive: true });
}

export async function upload(file) {
  const headers = { "Content-Type": "application/octet-stream" };
  return (await json(await fetch("/upload", { method: "POST", headers, body: file }))).upload;
}
