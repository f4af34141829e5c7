"""Sets for nnU-Net and WebDataset: the layouts as documented, masks that are the ventricle, nothing but synthetic."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from echosyn.data import filelist, phantom, video
from echosyn.data.outlines import mask
from echosyn.data.records import Tracing
from echosyn.errors import ConfigError, DataError
from echosyn.hashing import PROVENANCE
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.publish.nnunet import export_nnunet
from echosyn.pipeline.publish.webdataset import export_webdataset

SEED = 5


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hearts: four TRAIN, one VAL, one TEST."""
    out = tmp_path_factory.mktemp("made") / "synthetic"
    make_phantom(out, num=6, seed=SEED, num_frames=64, fps=32.0)
    return out


@pytest.fixture(scope="module")
def nnunet(hearts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("nnunet") / "Dataset701_Hearts"
    export_nnunet(hearts, out)
    return out


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_nnunet_finds_every_image_its_label_and_what_they_mean(nnunet: Path) -> None:
    """documentation/dataset_format.md of nnU-Net v2."""
    said = json.loads((nnunet / "dataset.json").read_text())
    assert said["labels"] == {"background": 0, "left ventricle": 1}
    assert said["channel_names"] == {"0": "ultrasound"}
    assert said["file_ending"] == ".png"
    for where, num in (("Tr", 10), ("Ts", 2)):
        images, labels = names(nnunet / f"images{where}"), names(nnunet / f"labels{where}")
        assert images == {label.replace(".png", "_0000.png") for label in labels}
        assert len(images) == num
        for label in labels:
            pixels = np.asarray(Image.open(nnunet / f"labels{where}" / label))
            image = np.asarray(Image.open(nnunet / f"images{where}" / label.replace(".png", "_0000.png")))
            assert pixels.dtype == image.dtype == np.uint8
            assert pixels.shape == image.shape == (112, 112)
            assert set(np.unique(pixels)) == {0, 1}
    assert said["numTraining"] == len(names(nnunet / "labelsTr"))


def test_no_patient_is_on_both_sides_of_the_split(nnunet: Path, hearts: Path) -> None:
    (fold,) = json.loads((nnunet / "splits_final.json").read_text())
    sides = {side: {case.rpartition("_")[0] for case in cases} for side, cases in fold.items()}
    assert sides == {
        side: {r.name for r in filelist.read(hearts) if r.split == side.upper()} for side in ("train", "val")
    }
    assert {f"{case}.png" for cases in fold.values() for case in cases} == names(nnunet / "labelsTr")


def test_a_mask_is_the_ventricle_of_its_frame(nnunet: Path, hearts: Path) -> None:
    for i, record in enumerate(r for r in filelist.read(hearts) if r.split == "TRAIN"):
        heart = phantom.patient(SEED, i, num_frames=64, fps=32.0)
        frames = video.read(filelist.video_path(hearts, record)).grey()
        for path in (nnunet / "labelsTr").glob(f"{record.name}_*.png"):
            frame = int(path.stem.rpartition("_")[2])
            drawn, true = np.asarray(Image.open(path)) > 0, phantom.lv_mask(heart, [frame])[0]
            assert 2 * (drawn & true).sum() / (drawn.sum() + true.sum()) > 0.93
            image = Image.open(nnunet / "imagesTr" / f"{path.stem}_0000.png")
            assert np.array_equal(np.asarray(image), frames[frame])


def test_a_square_of_chords_is_a_square_of_ones() -> None:
    chords = [Tracing("v.avi", 10, y, 20, y, 0) for y in range(5, 16)]
    drawn = mask([Tracing("v.avi", 15, 0, 15, 40, 0), *chords], (50, 30))
    assert drawn.shape == (50, 30)
    assert drawn[5:16, 10:21].all()
    assert drawn.sum() == 11 * 11


def test_what_nnunet_could_not_use_is_refused(hearts: Path, synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DatasetNNN_NAME"):
        export_nnunet(hearts, tmp_path / "hearts")
    with pytest.raises(DataError, match="no TRAIN or VAL video has tracings"):
        export_nnunet(synthetic, tmp_path / "Dataset001_X")
    assert names(tmp_path) == {"synthetic"}


def test_shards_hold_every_video_as_it_is_and_its_labels(hearts: Path, tmp_path: Path) -> None:
    found = export_webdataset(hearts, tmp_path / "a", per_shard=3)
    assert found["shards"] == 4
    export_webdataset(hearts, tmp_path / "b", per_shard=3)
    shards = sorted(path.name for path in (tmp_path / "a").glob("*.tar"))
    assert shards == ["test-000000.tar", "train-000000.tar", "train-000001.tar", "val-000000.tar"]
    records = {r.name: replace(r, extra={}) for r in filelist.read(hearts)}
    for shard in shards:
        assert (tmp_path / "a" / shard).read_bytes() == (tmp_path / "b" / shard).read_bytes()
        with tarfile.open(tmp_path / "a" / shard) as tar:
            samples = {name: file.read() for name in tar.getnames() if (file := tar.extractfile(name))}
        assert list(samples) == [
            name for i in {n.split(".")[0]: 0 for n in samples} for name in (f"{i}.avi", f"{i}.json")
        ]
        for key in {name.split(".")[0] for name in samples}:
            said = json.load(io.BytesIO(samples[f"{key}.json"]))
            record = records.pop(said["name"])
            assert said == {name: getattr(record, name) for name in said}
            assert said["split"].lower() == shard.split("-")[0]
            assert samples[f"{key}.avi"] == filelist.video_path(hearts, record).read_bytes()
    assert not records


def test_a_reader_of_webdataset_gets_the_samples(hearts: Path, tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset", reason="needs echosyn[interop]")
    export_webdataset(hearts, tmp_path / "shards", per_shard=2)
    urls = [str(path) for path in sorted((tmp_path / "shards").glob("train-*.tar"))]
    samples = list(wds.WebDataset(urls, shardshuffle=False).decode())
    assert len(samples) == 4
    assert all(sample["json"]["split"] == "TRAIN" and sample["avi"][:4] == b"RIFF" for sample in samples)


@pytest.mark.parametrize("export", [export_nnunet, export_webdataset])
def test_what_is_not_known_to_be_synthetic_is_refused(export, hearts: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    make_phantom(foreign, num=1, seed=1, num_frames=64)
    (foreign / PROVENANCE).unlink()
    with pytest.raises(DataError, match="may show patients"):
        export(foreign, tmp_path / "Dataset001_X")
    assert not (tmp_path / "Dataset001_X").exists()


def test_a_shard_of_nothing_is_refused(hearts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1 video"):
        export_webdataset(hearts, tmp_path / "shards", per_shard=0)
