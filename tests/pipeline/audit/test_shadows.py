"""Shadow models against a real, tiny image model."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from echosyn import weights
from echosyn.pipeline.audit import shadows
from echosyn.pipeline.audit.membership import on_stills
from echosyn.privacy.permutation import area_p_value

PATIENTS, CPU = 40, torch.device("cpu")
OWNER, MEMBER = np.repeat(np.arange(PATIENTS), 2), np.arange(PATIENTS) < PATIENTS // 2
NAMES = ("calibrated loss", "LiRA", "RMIA")


def stills(seed: int) -> Tensor:
    """Two of each patient, some patients being harder than others: ``(80, 4, 1, 4, 4)``."""
    generator = torch.Generator().manual_seed(seed)
    hard = torch.exp(0.7 * torch.randn(PATIENTS, 1, 1, 1, 1, generator=generator))
    hearts = hard * torch.randn(PATIENTS, 4, 1, 4, 4, generator=generator)
    return hearts[OWNER] + 0.05 * torch.randn(2 * PATIENTS, 4, 1, 4, 4, generator=generator)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in {
        "NETWORK": shadows.NETWORK | {"block_out_channels": (16, 32)},
        "STEPS": (60, 60),
        "BATCH": 16,
    }.items():
        monkeypatch.setattr(shadows, name, value)
    return weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000})


def attacked(network: Any, scheduler: Any) -> dict[str, tuple[float, float]]:
    """Area and p-value of each attack."""
    found = on_stills(network, scheduler, stills(0), OWNER, CPU, shadow_models=4)
    assert list(found) == ["loss", "proximal", *NAMES]
    gaps = {name: s[MEMBER][:, None] - s[~MEMBER][None] for name, s in found.items()}
    return {name: (float((gap > 0).mean()), area_p_value(found[name], MEMBER)) for name, gap in gaps.items()}


@pytest.mark.slow
def test_an_overfitted_model_is_found_and_one_of_other_data_is_not(
    scheduler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    overfitted = shadows.trained(stills(0)[MEMBER[OWNER]], scheduler, CPU, seed=1)
    other = shadows.trained(stills(7), scheduler, CPU, seed=1)
    found, innocent = attacked(overfitted, scheduler), attacked(other, scheduler)
    for name in NAMES:
        assert found[name][0] > 0.8, found
        assert found[name][1] < 0.001
        assert innocent[name][1] > 0.05, innocent
    assert found["calibrated loss"][0] > found["loss"][0], "harder patients have higher losses, seen or not"
