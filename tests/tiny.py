"""Tiny models and latents that the tests of several verbs share. Diffusers takes seconds to import, so it is imported late."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory, build: Callable[..., Any], video_dataset: Path) -> Path:
    """A folder of models that belong together, and ``latents`` of the real videos."""
    from echosyn import weights
    from echosyn.pipeline.train.encode import encode
    from echosyn.pipeline.workers.compute import Compute
    from echosyn.settings.making import EncodeSettings

    made = tmp_path_factory.mktemp("tiny-models")
    flow = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler"})
    weights.save(build("vae"), made / "vae", weights.Facts(stage="vae", pixels="symmetric"))
    weights.save(build("lidm"), made / "lidm", weights.Facts(stage="lidm", num_inference_steps=1), flow)
    own = weights.weights_hash(made / "vae")
    facts = weights.Facts(stage="lvdm", fps=25.0, num_inference_steps=1, vae=own)
    weights.save(build("lvdm"), made / "lvdm", facts, flow)
    weights.save(build("reid"), made / "reid", weights.Facts(stage="reid", vae=own))
    encode(video_dataset, made / "latents", made / "vae", EncodeSettings(any_scale=True), Compute(device="cpu"))
    return made
