"""Verbs on a real path give the same folders, whoever does the work."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from echosyn import weights

pytestmark = pytest.mark.slow
MODELS = weights.shipped()


def echosyn(*words: object) -> dict[str, Any]:
    """The result of a command that works."""
    command = [sys.executable, "-m", "echosyn", *map(str, words), "--quiet", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 3), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    echosyn("phantom", folder / "real", "--num", 24, "--frames", 64, "--seed", 5)
    echosyn("encode", folder / "real", folder / "latents", "--vae", MODELS / "vae", "--mean")
    echosyn("sample", folder / "candidates", "--lidm", MODELS / "lidm_a4c", "--num", 12)
    echosyn("generate", folder / "synthetic", "--num", 8, "--frames", 64)
    return folder


def commands(data: Path) -> dict[str, list[object]]:
    compared = [data / "synthetic", data / "real"]
    models = ["--lvdm", MODELS / "lvdm", "--vae", MODELS / "vae"]
    return {
        "import": ["import", data / "real", "OUT", "--from", "folder", "--labels", data / "real" / "FileList.csv"],
        "encode": ["encode", data / "real", "OUT", "--vae", MODELS / "vae", "--courses"],
        "sample": ["sample", "OUT", "--lidm", MODELS / "lidm_a4c", "--num", 12],
        "filter": ["filter", data / "candidates", "OUT", "--reid", MODELS / "reid", "--reference", data / "latents"],
        "calibrate": ["calibrate", "OUT", "--reference", data / "latents", "--real", data / "real"],
        "animate": ["animate", data / "candidates", "OUT", *models, "--num", 4, "--frames", 48],
        "audit": ["audit", *compared, "OUT", "--models", MODELS, "--videos-only", "--canaries", 2],
        "evaluate": ["evaluate", *compared, "OUT", "--only", "fidelity", "--protocol", "echosyn-quick-v2"],
    }


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("verb", ["import", "encode", "sample", "filter", "calibrate", "animate", "audit", "evaluate"])
@pytest.mark.parametrize("how", [("--workers", "2"), ("--ray", "local")], ids=["processes", "ray"])
def test_the_folder_is_the_same(verb: str, how: Sequence[str], data: Path, tmp_path: Path) -> None:
    if "--ray" in how and importlib.util.find_spec("ray") is None:
        pytest.skip("needs echosyn[ray]")
    for name, more in (("here", ()), ("there", how)):
        echosyn(*(tmp_path / name if word == "OUT" else word for word in commands(data)[verb]), *more)
    here, there = content(tmp_path / "here"), content(tmp_path / "there")
    assert here.keys() == there.keys()
    differ = [name for name in here if here[name] != there[name]]
    assert not differ
