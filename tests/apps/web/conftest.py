"""A running page with the models that ship, two datasets and a report, as visitors find it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from echosyn.apps.web.server import Options, Running
from echosyn.data import filelist, video
from echosyn.pipeline.ingest.phantom import make_phantom

HOSTILE = "<img src=x onerror=alert(1)>"
"""The name of a video."""
SECRET = "the secret beside the dataset"


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that the page may show, and things that it must not."""
    root = tmp_path_factory.mktemp("house")
    make_phantom(root / "real", num=3, seed=4, num_frames=64, fps=32.0)
    shutil.copytree(root / "real", root / "synthetic")
    records = filelist.read(root / "synthetic")
    videos = root / "synthetic" / "Videos"
    (videos / f"{records[0].name}.avi").rename(videos / f"{HOSTILE}.avi")
    (root / "secret.avi").write_bytes((videos / f"{records[1].name}.avi").read_bytes())
    (videos / f"{records[1].name}.avi").unlink()
    (videos / f"{records[1].name}.avi").symlink_to(root / "secret.avi")
    filelist.write(root / "synthetic", [replace(records[0], name=HOSTILE), *records[1:]])
    (root / "report").mkdir()
    script = "<script>document.title = 'ran'; fetch('/about').catch(() => {})</script>"
    (root / "report" / "index.html").write_text(f"<!doctype html><title>Audit</title><h1>Audit</h1>{script}")
    (root / "secret.html").write_text(SECRET)
    (root / "report" / "public.html").symlink_to(root / "secret.html")
    return root


@pytest.fixture(scope="session")
def page(house: Path) -> Iterator[Running]:
    """The page, its models loaded."""
    before = dict(os.environ)
    folders = [house / "real", house / "synthetic", house / "report"]
    with Running(Options(folders=folders, port=0, device="cpu")) as running:
        running.wait()
        yield running
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def web(page: Running) -> Iterator[httpx.Client]:
    """A client without a browser."""
    with httpx.Client(base_url=page.url, timeout=60) as client:
        yield client


@pytest.fixture
def ask(web: httpx.Client) -> Any:
    """``ask(name, *values)``: a call's answer, or the sentence that it was refused with."""

    endpoints = web.get("/gradio_api/info").json()["named_endpoints"]

    def call(name: str, *values: Any) -> Any:
        names = [p["parameter_name"] for p in endpoints[f"/{name}"]["parameters"]]
        joined = web.post(f"/gradio_api/call/v2/{name}", json=dict(zip(names, values, strict=False)))
        assert joined.status_code == 200, joined.text
        text = web.get(f"/gradio_api/call/v2/{name}/{joined.json()['event_id']}").text
        kind, _, data = text[text.rindex("event: ") :].partition("\n")
        content = json.loads(data.strip().removeprefix("data: ").splitlines()[0])
        return content[0] if kind == "event: complete" else str(content)

    return call


@pytest.fixture
def clip(tmp_path: Path, house: Path) -> Path:
    """A clip to upload: larger than what the models see."""
    found = video.read(house / "real" / "Videos" / f"{filelist.read(house / 'real')[0].name}.avi")
    path = tmp_path / "clip.avi"
    frames = found.frames.repeat(2, axis=1).repeat(2, axis=2)
    video.write_avi(path, frames, found.fps)
    return path
