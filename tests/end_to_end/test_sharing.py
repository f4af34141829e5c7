"""What goes out to others: a generated set, published and read back by people who do not know us."""

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest

from echosyn.data import filelist
from echosyn.pipeline.publish import checksums
from echosyn.pipeline.publish.audit_gate import UNFILTERED, WITHOUT
from echosyn.pipeline.publish.publish import publish
from echosyn.settings.sharing import PublishSettings

_SPEC = importlib.util.spec_from_file_location("reader", Path(__file__).with_name("test_echonet_reader.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
reader = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reader)

ROOT = Path(__file__).parents[2]
SAID = ["--licence", "cc-by-4.0", "--without-audit", WITHOUT, "--quiet"]
UNFILTERED_SAID = ["--licence", "cc-by-4.0", "--without-audit", UNFILTERED, "--quiet"]


@pytest.mark.parametrize("kind", ["dataset", "synthetic"])
def test_the_echonet_reader_reads_a_release(
    kind: str, program: Any, dataset: Path, workshop: Any, tmp_path: Path
) -> None:
    source = dataset if kind == "dataset" else workshop.synthetic
    program.good(
        "publish", source, tmp_path / "release", "--splits", "3,1,1", *(SAID if kind == "dataset" else UNFILTERED_SAID)
    )
    counts = {split: len(list(reader.echonet(str(tmp_path / "release"), split))) for split in ("train", "val", "test")}
    assert counts == {"train": 3, "val": 1, "test": 1}
    assert program.good("verify", tmp_path / "release", "--json").json["audit"] == "none"


FLAT = 'mkdir -p echonet/Videos && cp release/*.csv echonet && ln -s "$PWD"/release/Videos/*/*.avi echonet/Videos'
"""The command of docs/publish.md for code that expects one folder."""


def test_the_echonet_reader_reads_a_release_in_many_folders(program: Any, dataset: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    publish(dataset, release, PublishSettings(licence="cc-by-4.0", splits="3,1,1", without_audit=WITHOUT), max_files=2)
    assert all(path.is_dir() for path in (release / "Videos").iterdir()), "in sub-folders"
    assert f"$ {FLAT}\n" in (ROOT / "docs" / "publish.md").read_text()
    subprocess.run(FLAT, shell=True, cwd=tmp_path, check=True)
    counts = {split: len(list(reader.echonet(str(tmp_path / "echonet"), split))) for split in ("train", "val", "test")}
    assert counts == {"train": 3, "val": 1, "test": 1}
    assert program.good("verify", release, "--json").json["audit"] == "none", "the release is as it was sealed"
    with pytest.raises(AssertionError):
        list(reader.echonet(str(release), "train"))


def test_a_release_in_many_folders_becomes_dicom(program: Any, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    publish(dataset, tmp_path / "release", PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT), max_files=2)
    program.good("export", tmp_path / "release", tmp_path / "dicom", "--to", "dicom", "--quiet")
    names = {record.name for record in filelist.read(dataset)}
    assert {path.stem for path in (tmp_path / "dicom").glob("*.dcm")} == names


def test_a_release_tells_what_made_it_and_keeps_the_weights(program: Any, workshop: Any, tmp_path: Path) -> None:
    options = ["--models", workshop.folder / "models", "--evaluation", workshop.report / "report.json"]
    program.good("publish", workshop.synthetic, tmp_path / "release", *options, *UNFILTERED_SAID)
    cards = sorted(p.name for p in (tmp_path / "release" / "model-cards").iterdir())
    assert cards == ["lidm.md", "lvdm.md", "vae.md"]
    assert "VideoTransformer" in (tmp_path / "release" / "model-cards" / "lvdm.md").read_text()
    assert not list((tmp_path / "release").rglob("*.safetensors"))
    names = {name for name in checksums.files(tmp_path / "release") if not name.endswith((".avi", ".mp4"))}
    assert "evaluation.json" in names
    assert not any("private" in name or "index.html" in name for name in names)
    everything = b"".join((tmp_path / "release" / name).read_bytes() for name in names)
    assert str(workshop.folder).encode() not in everything
    assert b"phantom_a4c" not in everything, "the name of a real video"


def test_a_changed_byte_and_a_real_dataset_are_exit_code_2(
    program: Any, workshop: Any, dataset: Path, tmp_path: Path
) -> None:
    program.good("publish", workshop.animated, tmp_path / "release", *SAID)
    path = tmp_path / "release" / "FileList.csv"
    path.write_bytes(path.read_bytes().replace(b"TRAIN", b"TRAIM", 1))
    result = program("verify", tmp_path / "release")
    assert result.code == 2
    assert "FileList.csv: changed since it was sealed" in result.stderr
    program.good("import", dataset, tmp_path / "real", "--from", "dynamic", "--quiet")
    refused = program("publish", tmp_path / "real", tmp_path / "out", *SAID)
    assert refused.code == 2
    assert "may show patients" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_the_table_of_weights_says_where_how_large_and_under_which_licence(program: Any) -> None:
    text = program.good("weights", "list").stdout
    assert (
        "https://huggingface.co/HReynaud/EchoNet-Synthetic/resolve/main/lvdm/diffusion_pytorch_model.safetensors"
        in text
    )
    assert "sha256 not published" in text
    assert text.count("licence: ") == len(program.good("weights", "list", "--json").json["sources"])
