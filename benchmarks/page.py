"""The page under load: start-up, seconds from click to first video, 50 requests of 8 clients. Prints one JSON object.

    OMP_NUM_THREADS=2 python benchmarks/page.py

Starts `echosyn demo` as its own process with the models that ship. Wall seconds are of this machine as busy as it was;
``cpu`` are the server's processor seconds.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from echosyn.pipeline.demo.limits import Limits


class Server:
    """The program, and what it costs."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "echosyn", "demo", "--port", str(port), "--device", "cpu"]
        environment = os.environ | {"TMPDIR": str(folder)}
        self.started = time.perf_counter()
        self.program = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        self.process = psutil.Process(self.program.pid)

    def until(self, state: str) -> dict[str, float]:
        """Seconds until the page answers, or its models are ready."""
        while True:
            try:
                if state == "answers" or httpx.get(f"{self.url}/about").json()["state"] == state:
                    httpx.get(self.url).raise_for_status()
                    return {"wall": time.perf_counter() - self.started, "cpu": self.cpu()}
            except httpx.TransportError:
                pass
            time.sleep(0.25)

    def cpu(self) -> float:
        """Processor seconds so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def memory_mb(self) -> float:
        """Resident memory."""
        return self.process.memory_info().rss / 1e6

    def disk_mb(self) -> float:
        """Of its temporary folder."""
        return sum(p.lstat().st_size for p in self.folder.rglob("*") if p.is_file()) / 1e6

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.program.send_signal(signal.SIGINT)
        self.program.wait(30)


def ask(web: httpx.Client, name: str, **values: Any) -> Any:
    """A call's answer; a sentence where it was refused."""
    joined = web.post(f"/gradio_api/call/v2/{name}", json=values)
    if joined.status_code != 200:
        return f"{joined.status_code} {joined.json()['detail']}"
    text = web.get(f"/gradio_api/call/v2/{name}/{joined.json()['event_id']}").text
    kind, _, data = text[text.rindex("event: ") :].partition("\n")
    content = json.loads(data.removeprefix("data: ").splitlines()[0])
    return content[0] if kind == "event: complete" else f"refused: {content}"


def kept_seeds(web: httpx.Client, num: int) -> list[int]:
    """Seeds whose hearts are nobody's."""
    found: list[int] = []
    seed = 0
    while len(found) < num:
        if ask(web, "invent", view="a4c", seed=seed)["verdict"]["status"] == "kept":
            found.append(seed)
        seed += 1
    return found


def first_videos(server: Server, web: httpx.Client, num: int) -> dict[str, Any]:
    """From the click on "make it beat" until the video is there, 64 frames."""
    walls, cpus = [], []
    for seed in kept_seeds(web, num):
        began, used = time.perf_counter(), server.cpu()
        made = ask(web, "beat", view="a4c", seed=seed, ef=50.0, frames=64)
        web.get(made["files"]["mp4"]).raise_for_status()
        walls.append(time.perf_counter() - began)
        cpus.append(server.cpu() - used)
    return {
        "n": num,
        "wall_median": statistics.median(walls),
        "wall_max": max(walls),
        "cpu_median": statistics.median(cpus),
    }


def crowd(server: Server, num: int, clients: int) -> dict[str, Any]:
    """Requests that all come at once."""
    answers: list[Any] = []
    memory = [server.memory_mb()]
    disk = [server.disk_mb()]

    def request(i: int) -> None:
        values = {"view": "a4c", "seed": 7, "ef": random.Random(i).uniform(15, 80), "frames": (64, 128, 192)[i % 3]}
        with httpx.Client(base_url=server.url, timeout=600) as web:
            answers.append(ask(web, "beat", **values))

    def client(mine: range) -> None:
        threads = [threading.Thread(target=request, args=(i,)) for i in mine]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    everyone = [threading.Thread(target=client, args=(range(c, num, clients),)) for c in range(clients)]
    for each in everyone:
        each.start()
    while any(each.is_alive() for each in everyone):
        memory.append(server.memory_mb())
        disk.append(server.disk_mb())
        time.sleep(0.2)
    answered = sum(isinstance(answer, dict) for answer in answers)
    polite = [a for a in answers if isinstance(a, str) and a.startswith("503 Queue is full")]
    return {
        "requests": num,
        "clients": clients,
        "answered": answered,
        "refused": len(polite),
        "otherwise": [a for a in answers if isinstance(a, str) and a not in polite],
        "memory_mb": {"before": memory[0], "most": max(memory), "after": server.memory_mb()},
        "disk_mb": {"most": max(disk), "after": server.disk_mb(), "cap": Limits().disk_bytes / 1e6},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=10)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            found: dict[str, Any] = {"start": {"answers": server.until("answers"), "ready": server.until("ready")}}
            with httpx.Client(base_url=server.url, timeout=600) as web:
                ask(web, "beat", view="a4c", seed=7, ef=50.0, frames=192)
                found["first_video"] = first_videos(server, web, args.videos)
            found["crowd"] = [crowd(server, args.requests, args.clients) for _ in range(2)]
        finally:
            server.stop()
        found["left_mb"] = server.disk_mb()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
