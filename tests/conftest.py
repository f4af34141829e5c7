"""Tiny networks, settings and data that the tests share; everything is made from fixed seeds.

Imported once more by the process that only hands out tests, so what imports diffusers, which takes seconds, is imported late.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import hypothesis
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from browser import browser
from echosyn import rng
from echosyn.data import filelist, latents, video
from echosyn.data.frames import Frames
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import SPLITS
from echosyn.pipeline.workers import processes
from tiny import tiny_models

__all__ = ["browser", "tiny_models"]  # fixtures of other files, for all tests

torch.set_num_threads(1)  # networks this small only wait for one another
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
processes.PRELOADED += [  # a process has one server: the end-to-end tests fork the whole program from it
    "echosyn.apps.cli.verbs",
    *(f"echosyn.pipeline.{name}" for name in ("quickstart", "doctor", "audit.audit", "publish.publish", "report.page")),
]

NETWORKS: dict[str, dict[str, Any]] = {
    "vae": {
        "_class_name": "AutoencoderKL",
        "in_channels": 1,
        "out_channels": 1,
        "sample_size": 32,
        "latent_channels": 4,
        "block_out_channels": [8, 8, 8, 16],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "mid_block_add_attention": False,
    },
    "lidm": {
        "_class_name": "UNet2DModel",
        "in_channels": 4,
        "out_channels": 4,
        "sample_size": 4,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "attention_head_dim": 8,
        "norm_num_groups": 4,
    },
    "lvdm": {
        "_class_name": "VideoTransformer",
        "in_channels": 8,
        "out_channels": 4,
        "sample_size": 4,
        "num_frames": 8,
        "patch_size": 2,
        "temporal_patch_size": 2,
        "width": 16,
        "depth": 1,
        "num_heads": 2,
    },
    "reid": {"_class_name": "SiameseNet", "backbone": "small", "embedding_size": 16},
    "ef": {"_class_name": "EFRegressor", "backbone": "small", "bias": 50.0},
    "outline": {"_class_name": "CavityUNet", "widths": [8, 16]},
}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
EXTRAS: dict[str, dict[str, Any]] = {
    "vae": {"scale_frames": 64},
    "lidm": {"scheduler": FLOW, "num_frames": 1},
    "lvdm": {"scheduler": FLOW, "num_frames": 8},
    "reid": {},
    "ef": {"num_frames": 8},
    "outline": {},
}


@pytest.fixture(scope="session")
def configs() -> Mapping[str, dict[str, Any]]:
    """The tiny network of each stage, as ``config.json`` would say it."""
    return NETWORKS


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """``build(stage, seed)``: a tiny network, random in every weight (some layers of a new network are zero)."""

    from echosyn import weights

    def make(stage: str, seed: int = 0, **changed: Any) -> Any:
        with rng.initializing(seed):
            network = weights.network(NETWORKS[stage] | changed)
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(0.05 * torch.randn_like(parameter))
        return network.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def settings_of() -> Callable[..., Any]:
    """``settings_of(stage, loop={...}, ...)``: settings of a tiny training."""

    from echosyn.training import catalog

    def make(stage: str, loop: Mapping[str, Any] | None = None, **changed: Any) -> Any:
        values = {"network": NETWORKS[stage], "loop": {"steps": 6, "batch_size": 4} | dict(loop or {})}
        return catalog.STAGES[stage][1].model_validate(values | EXTRAS[stage] | changed)

    return make


def records(count: int) -> list[Record]:
    """Videos of different length and frame rate; the last two are held out, the first is shorter than a clip."""
    return [
        Record(
            f"v{i:02d}",
            ef=20.0 + 5 * i,
            height=32,
            width=32,
            fps=(32.0, 50.0)[i % 2],
            num_frames=5 + 4 * i,
            split=SPLITS[max(0, i - count + 3)],
        )
        for i in range(count)
    ]


@pytest.fixture(scope="session")
def latents_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents ``(T, 4, 4, 4)`` of ten videos; a frame's first value is ``video + frame / 100``."""
    folder = tmp_path_factory.mktemp("latents")
    for i, record in enumerate(records(10)):
        assert record.num_frames
        content = rng.normal((4, 4, 4), i, "test latents", range(record.num_frames))
        content[:, 0, 0, 0] = i + torch.arange(record.num_frames) / 100
        latents.write(folder, record, content)
    latents.write_info(folder, vae="0" * 64, pixels="symmetric", posterior="mean")
    filelist.write(folder, records(10))
    return folder


@pytest.fixture(scope="session")
def video_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of six grey videos of 32x32 noise blobs, the first and third frame traced."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "Videos").mkdir()
    for i, record in enumerate(records(6)):
        assert record.num_frames
        assert record.fps
        coarse = rng.numpy_generator(i, "test video").integers(0, 256, (record.num_frames, 8, 8), np.uint8)
        video.write_avi(folder / "Videos" / f"{record.name}.avi", coarse.repeat(4, 1).repeat(4, 2), record.fps)
    filelist.write(folder, records(6))
    rows = [(16.0, 6.0, 16.0, 26.0), *((10.0, y, 22.0, y) for y in (8.0, 16.0, 24.0))]
    traced = [Tracing(f"{record.name}.avi", *row, frame) for record in records(6) for frame in (0, 2) for row in rows]
    filelist.write_tracings(folder, traced)
    return folder


@pytest.fixture(scope="session")
def write_as_opencv() -> Callable[[Path, Frames, int], None]:
    """``write(path, frames, fps)``: a grey Motion-JPEG whose chroma is one level off neutral, as OpenCV's writer makes it."""

    def write(path: Path, frames: Frames, fps: int) -> None:
        height, width = frames.shape[1:]
        with av.open(str(path), "w") as output:
            stream = output.add_stream("mjpeg", rate=fps, options={"qmin": "1", "qmax": "1"})
            stream.height, stream.width, stream.pix_fmt = height, width, "yuvj420p"
            stream.codec_context.color_range = 2
            for luma in frames:
                chroma = np.full(height * width // 2, 127, np.uint8)
                planes = np.concatenate([luma.ravel(), chroma]).reshape(height * 3 // 2, width)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuvj420p")))
            output.mux(stream.encode())

    return write


@pytest.fixture(scope="session")
def same_weights() -> Callable[[nn.Module, nn.Module], bool]:
    """Whether two networks have bit-identical weights."""

    def compare(one: nn.Module, other: nn.Module) -> bool:
        a: dict[str, Tensor] = one.state_dict()
        b: dict[str, Tensor] = other.state_dict()
        return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)

    return compare


@pytest.fixture
def serve() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    """``serve(handler)``: run a server of this machine in a thread until the test ends; its address."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


Serve = Callable[[type[BaseHTTPRequestHandler]], str]


@dataclass
class Mirror:
    """A served folder and what was asked of it."""

    root: Path
    url: str = ""
    ranges: bool = True
    drop_after: list[int] = field(default_factory=list)
    """For each response: bytes after which the connection is cut."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""


@pytest.fixture
def mirror(serve: Serve, tmp_path: Path) -> Mirror:
    served = Mirror(tmp_path / "mirror")
    served.root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range") if served.ranges else None
            served.asked.append((self.path, asked))
            path = served.root / self.path.lstrip("/").partition("?")[0]
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if asked and first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.send_header("ETag", '"1"')
            self.end_headers()
            part = content[first:]
            if served.drop_after:
                part = part[: served.drop_after.pop(0)]
                self.close_connection = True
            self.wfile.write(part)

        def log_message(self, *arguments: object) -> None:
            pass

    served.url = serve(Handler)
    return served
