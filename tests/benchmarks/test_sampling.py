"""The benchmark's script itself, with tiny networks: what it prints is complete and says what it did not measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_sampling_benchmark_prints_one_whole_object() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "sampling.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name in ("published_s", "same_weights_s", "fast_s"):
        assert found[name] > 0
    assert set(found["contributions"]) == {"solver", "windows", "decode", "together", "compile"}
    assert found["contributions"]["compile"] is None
    for name in ("published", "same_weights"):
        parts = found["parts"][name]
        assert parts["window_step_s"] > 0
        assert parts["denoise_s"] + parts["decode_s"] + parts["write_s"] == pytest.approx(found[f"{name}_s"])
    assert found["ratio_same_weights"] == pytest.approx(found["published_s"] / found["same_weights_s"])
    assert any("1 step of 1 window" in text for text in found["extrapolated"])
    assert found["quick"]


@pytest.mark.slow
def test_the_table_of_layers_names_the_processor_and_every_way() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "cpu_paths.py"), "--tries", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["processor"]
    convolutions = [row for row in found["rows"] if "winograd_ms" in row]
    assert len(convolutions) == 5
    assert all(row["gain"] > 0 and row["gflops_plain"] > 0 for row in found["rows"] if "gain" in row)


@pytest.mark.slow
def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "sampling.py"), "--fast-models", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("has no lvdm; expected a folder with vae and lvdm")
