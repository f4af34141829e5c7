"""What a training says of itself: ``metrics.jsonl``, which a resumed training continues, and the trackers of accelerate."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from PIL import Image

from echosyn.files import whole

METRICS = "metrics.jsonl"


class Log:
    """Numbers and pictures of a run.

    Args:
        run: the run folder.
        accelerator: made with ``log_with`` and ``project_dir``; only its main process writes.
        step: steps done; lines beyond are of a past that will be repeated, and are dropped.
        settings: shown by trackers that show settings.
    """

    def __init__(self, run: Path, accelerator: Accelerator, step: int, settings: Mapping[str, Any]) -> None:
        self.path, self.accelerator = run / METRICS, accelerator
        if not accelerator.is_main_process:
            return
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        # a power cut may have left half a line at the end
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        with whole(self.path) as fresh:
            fresh.write_text("".join(f"{line}\n" for line in kept))
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_SILENT", "true")
        accelerator.init_trackers("tracking", init_kwargs={"tensorboard": {"purge_step": step + 1}})
        for tracker in accelerator.trackers:
            if tracker.name != "tensorboard":  # it would open a second run for them
                tracker.store_init_configuration(dict(settings))

    def numbers(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write a line that depends on the training alone, and tell the trackers."""
        if self.accelerator.is_main_process:
            with self.path.open("a") as file:
                file.write(json.dumps({"step": step, **metrics}) + "\n")
        self.speed(step, metrics)

    def speed(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell the trackers what depends on the machine, too."""
        self.accelerator.log({k: v for k, v in metrics.items() if k != "step"}, step=step)

    def pictures(self, step: int, folder: Path) -> None:
        """Show the trackers the PNG files of a folder."""
        for tracker in self.accelerator.trackers:
            if hasattr(tracker, "log_images"):
                for path in sorted(folder.glob("*.png")):
                    picture = np.asarray(Image.open(path).convert("RGB"))[None]
                    layout = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                    tracker.log_images({f"samples/{path.stem}": picture}, step=step, **layout)

    def close(self) -> None:
        """Let the trackers finish writing."""
        for tracker in self.accelerator.trackers:
            tracker.finish()
