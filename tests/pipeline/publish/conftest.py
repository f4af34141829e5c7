"""A small synthetic dataset, its release, and a hub on this machine."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest

from echosyn import rng
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.publish.audit_gate import WITHOUT
from echosyn.pipeline.publish.publish import publish
from echosyn.settings.sharing import PublishSettings

WORDS = PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT)
REPO = "hospital/hearts"


def make_dataset(folder: Path, num: int = 9) -> Path:
    """What `generate` leaves: tiny videos, a file list, a record, and a private corner."""
    with new_folder(folder, "generate", {"num": num, "seed": 3}) as partial:
        (partial / "Videos").mkdir()
        records = [
            Record(
                f"synthetic_{i:06d}",
                ef=20.0 + i % 60,
                height=16,
                width=16,
                fps=32.0,
                num_frames=4,
                extra={"Note": "ours"},
            )
            for i in range(num)
        ]
        for i, record in enumerate(records):
            frames = rng.numpy_generator(i, "video").integers(0, 256, (4, 16, 16), np.uint8)
            video.write_avi(partial / "Videos" / f"{record.name}.avi", frames, 32.0)
        filelist.write(partial, records)
        (partial / "private").mkdir()
        (partial / "private" / "similarity.csv").write_text("Still,NearestPatient\n0,Jane Doe 1950\n")
        note(partial, privacy={"filter": "calibrated", "rejection_rate": 0.05, "releasable": True}, secret="Jane Doe")
    return folder


@pytest.fixture
def make_set() -> Callable[..., Path]:
    return make_dataset


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "synthetic")


@pytest.fixture
def release(synthetic: Path, tmp_path: Path) -> Path:
    publish(synthetic, tmp_path / "release", WORDS)
    return tmp_path / "release"


@dataclass
class Hub:
    """What the hub has and what was asked of it."""

    url: str = ""
    private: bool | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    """Beginnings of paths whose next request is cut off without an answer."""
    asked: list[str] = field(default_factory=list)
    refused_card: str | None = None
    full: bool = False

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON (or text) of a request."""
        known = {
            "/api/validate-yaml": self._validate,
            "/api/repos/create": self._create,
            f"/api/datasets/{REPO}": self._info,
            f"/api/datasets/{REPO}/preupload/main": self._preupload,
            f"/datasets/{REPO}.git/info/lfs/objects/batch": self._batch,
            f"/api/datasets/{REPO}/commit/main": self._commit,
        }
        if path in known:
            return known[path](body)
        if path.startswith("/lfs/"):
            assert hashlib.sha256(body).hexdigest() == path.removeprefix("/lfs/")
            self.blobs[path.removeprefix("/lfs/")] = body
            return 200, {}
        return 404, {"error": f"{method} {path}"}

    def _validate(self, body: bytes) -> tuple[int, Any]:
        assert json.loads(body)["repoType"] == "dataset"
        return (400, self.refused_card) if self.refused_card else (200, {"errors": [], "warnings": []})

    def _create(self, body: bytes) -> tuple[int, Any]:
        if self.private is not None:
            return 409, {"url": f"{self.url}/datasets/{REPO}", "error": "exists"}
        asked = json.loads(body)
        self.private = asked.get("private") is True or asked.get("visibility") == "private"  # by version of the library
        return 200, {"url": f"{self.url}/datasets/{REPO}"}

    def _info(self, body: bytes) -> tuple[int, Any]:
        siblings = [{"rfilename": name} for name in [".gitattributes", *self.files]]
        return 200, {"id": REPO, "sha": "0" * 40, "private": self.private, "tags": [], "siblings": siblings}

    def _preupload(self, body: bytes) -> tuple[int, Any]:
        def mode(path: str) -> str:
            return "lfs" if path.endswith((".avi", ".mp4")) else "regular"

        files = [{"path": f["path"], "uploadMode": mode(f["path"])} for f in json.loads(body)["files"]]
        return 200, {"files": [f | {"shouldIgnore": False, "oid": None} for f in files]}

    def _batch(self, body: bytes) -> tuple[int, Any]:
        objects = [{"oid": o["oid"], "size": o["size"]} for o in json.loads(body)["objects"]]
        for entry in objects:
            if entry["oid"] not in self.blobs:
                entry["actions"] = {"upload": {"href": f"{self.url}/lfs/{entry['oid']}"}}
        return 200, {"transfer": "basic", "objects": objects}

    def _commit(self, body: bytes) -> tuple[int, Any]:
        if self.full:
            return 400, {"error": "no room"}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                self.files[entry["value"]["path"]] = self.blobs[entry["value"]["oid"]]
        return 200, {"commitUrl": f"{self.url}/datasets/{REPO}/commit/1", "commitOid": "1" * 40, "success": True}


@pytest.fixture
def hub(serve: Callable[[type[BaseHTTPRequestHandler]], str], monkeypatch: pytest.MonkeyPatch) -> Hub:
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            served.asked.append(path)
            for beginning in served.drop:
                if path.startswith(beginning):
                    served.drop.remove(beginning)
                    self.close_connection = True
                    return
            status, content = served.answer(self.command, path, body)
            text = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    served.url = serve(Handler)
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setenv("HF_TOKEN", "hf_nothing")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return served
