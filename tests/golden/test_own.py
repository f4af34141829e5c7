"""Our own numbers stay as they are; `tests/golden/own/regenerate.py` says what they are and how to make them anew."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def own() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "regenerate_own_golden", Path(__file__).parent / "own" / "regenerate.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_samples_latents_and_losses_are_what_they_were(own: ModuleType) -> None:
    expected, found = load_file(own.EXPECTED), own.numbers()
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        tolerance = 1 if name == "decoded" else 1e-4  # a grey level
        assert values.shape == found[name].shape
        assert torch.allclose(values, found[name], atol=tolerance, rtol=0), name


def test_the_numbers_say_something(own: ModuleType) -> None:
    assert own.EXPECTED.stat().st_size < 100_000
    for name, values in load_file(own.EXPECTED).items():
        assert torch.isfinite(values).all()
        assert values.float().std() > 1e-3, name
