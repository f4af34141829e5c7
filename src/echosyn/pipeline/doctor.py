"""``echosyn doctor``: what this installation can do."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import __version__
from echosyn.data import video
from echosyn.errors import EchosynError
from echosyn.pipeline.folder import installed

PACKAGES = (
    "torch",
    "torchvision",
    "diffusers",
    "accelerate",
    "av",
    "numpy",
    "safetensors",
    "scipy",
)


def doctor() -> dict[str, Any]:
    """Versions, devices, disk and a try of the video writer; ``ok`` is False when something needed does not work."""
    versions = {name: installed(name) for name in PACKAGES}
    problems = [f"{name} is not installed" for name, found in versions.items() if found is None]
    problems += _try_video()
    return {
        "ok": not problems,
        "problems": problems,
        "echosyn": __version__,
        "versions": versions,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": ["cpu"] + [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
    }


def _try_video() -> list[str]:
    frames = np.zeros((3, 16, 16), np.uint8)
    try:
        with tempfile.TemporaryDirectory() as folder:
            video.write_avi(Path(folder) / "try.avi", frames, 32.0)
            video.write_mp4(Path(folder) / "try.mp4", frames, 32.0)
    except EchosynError as error:
        return [f"cannot write a test video: {error}"]
    return []
