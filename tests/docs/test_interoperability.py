"""The examples of docs/interoperability.md run against the real libraries, where they are installed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from archive import serving

PAGE = (Path(__file__).parents[2] / "docs" / "interoperability.md").read_text()
EXAMPLES = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from echosyn.pipeline.ingest.phantom import make_phantom
    from echosyn.pipeline.publish.audit_gate import WITHOUT
    from echosyn.pipeline.publish.publish import publish
    from echosyn.pipeline.publish.webdataset import export_webdataset
    from echosyn.settings.sharing import PublishSettings

    made = tmp_path_factory.mktemp("interoperability")
    make_phantom(made / "set", num=6, seed=1, num_frames=64, fps=32.0)
    publish(made / "set", made / "release", PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT))
    export_webdataset(made / "set", made / "shards")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("library", EXAMPLES)
def test_the_example_runs(library: str, folder: Path, tmp_path: Path) -> None:
    code = EXAMPLES[library]
    for module in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
        pytest.importorskip(module, reason="needs echosyn[interop]")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_archive_takes_and_gives(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dicomweb_client", reason="needs echosyn[dicomweb]")
    (text,) = re.findall(r"^## DICOMweb\n.*?^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(text.splitlines()) <= 10
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(folder)
    with serving() as archive:
        archive.token = "s3cret"
        lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
        script = "\n".join(lines).replace("https://archive.example/dicom-web", archive.url)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path}
        done = subprocess.run(["bash", "-ec", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = text.replace("https://archive.example/dicom-web", archive.url).splitlines()
    said = [line for line in expected if not line.startswith("$ ") and line != "..."]
    assert [line for line in done.stdout.splitlines() if line in said] == said


@pytest.mark.slow
def test_nnunet_reads_the_export_and_its_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own check of a dataset, its planner and preprocessing, and the fold that its trainer takes."""
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))  # read once, when nnU-Net is imported
    pytest.importorskip("nnunetv2", reason="needs nnU-Net v2")
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess_dataset,
    )
    from nnunetv2.run.run_training import get_trainer_from_args

    from echosyn.pipeline.ingest.phantom import make_phantom
    from echosyn.pipeline.publish.nnunet import export_nnunet

    raw, made = tmp_path / "raw" / "Dataset701_Hearts", tmp_path / "preprocessed" / "Dataset701_Hearts"
    make_phantom(tmp_path / "set", num=12, seed=1, num_frames=64, fps=32.0)
    export_nnunet(tmp_path / "set", raw)
    extract_fingerprints([701], num_processes=1, check_dataset_integrity=True)
    plan_experiments([701])
    preprocess_dataset(701, configurations=("2d",), num_processes=(1,))
    shutil.copy(raw / "splits_final.json", made)
    trainer = get_trainer_from_args("701", "2d", 0, device=torch.device("cpu"))
    train, val = (set(cases) for cases in trainer.do_split())
    (fold,) = json.loads((raw / "splits_final.json").read_text())
    assert (train, val) == (set(fold["train"]), set(fold["val"]))
    dataset = trainer.dataset_class(trainer.preprocessed_dataset_folder, sorted(train))
    for case in sorted(train):
        image, mask = (np.asarray(x[:]) for x in dataset.load_case(case)[:2])
        assert image.shape == mask.shape
        assert set(np.unique(mask)) - {-1} == {0, 1}  # -1: what was cropped away


def test_every_library_has_an_example() -> None:
    assert len(EXAMPLES) == 5
    assert all(len(code.splitlines()) <= 10 for code in EXAMPLES.values())
