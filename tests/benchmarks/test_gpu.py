"""The script for GPUs, on a machine without one: it says so, and runs whole on the CPU."""

import json
import sys
from pathlib import Path

import pytest
import torch

from scripts import imported

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options])
    with pytest.raises(SystemExit) as end:
        imported(SCRIPT).main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --device cuda: not available")


@pytest.mark.slow
def test_it_runs_whole_on_a_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--device", "cpu", "--quick", "--check") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["check"]["fp32"]["differs"] == {"largest": 0, "mean": 0}
    assert found["check"]["bf16"]["differs"]["mean"] > 0
    for family in ("published", "fast"):
        for precision in ("fp32", "bf16"):
            for part in ("video", "training step"):
                assert found[family][precision][part]["seconds"] > 0
        assert found[family]["fp16"] == {"not run": "float16 needs a GPU"}
