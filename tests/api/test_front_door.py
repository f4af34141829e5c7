"""The Python front door: cheap to import, equal to the command line's files, and able to show itself."""

import base64
import re
import subprocess
import sys

import av
import numpy as np
import pytest
import torch

import echosyn
from echosyn.data import filelist, video
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.ingest.phantom import make_phantom


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("door") / "dataset"
    make_phantom(out, num=4, seed=5, num_frames=64)
    return out


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import echosyn; "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before} & {'torch', 'numpy', 'diffusers', 'av', 'typer'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_name_it_offers_is_there_and_documented():
    for name in set(echosyn.__all__) - {"__version__"}:
        assert getattr(echosyn, name).__doc__, name
    assert set(echosyn.__all__) == set(dir(echosyn))
    with pytest.raises(AttributeError, match="it offers"):
        _ = echosyn.nothing


def test_a_dataset_is_the_rows_of_its_list_and_the_frames_of_its_files(folder):
    data = echosyn.load_dataset(folder)
    records = filelist.read(folder)
    assert [echo.name for echo in data] == [r.name for r in records]
    assert [echo.ef for echo in data] == [r.ef for r in records]
    first = data[0]
    assert np.array_equal(first.frames, video.read(filelist.VideoIndex(folder).path(records[0])).grey())
    assert len(data[1:3]) == 2
    assert data[-1].name == records[-1].name
    assert sum(len(data.split(s)) for s in ("train", "val", "test")) == len(data)
    with pytest.raises(IndexError):
        data[4]


def test_clips_hold_the_frames_asked_for_and_pad_what_is_short(folder):
    data = echosyn.load_dataset(folder)
    clip, ef = data.clips(num_frames=8, period=2)[1]
    assert clip.shape == (1, 8, 112, 112)
    assert ef == data[1].ef
    assert torch.equal(clip[0], torch.from_numpy(data[1].frames[:16:2]).float() / 255)
    longer, _ = data.clips(num_frames=80, period=1)[0]
    assert longer[0, 64:].abs().max() == 0
    assert longer[0, 63].max() > 0
    with pytest.raises(ConfigError):
        data.clips(num_frames=0)


def test_clips_of_a_seed_begin_in_the_same_places_and_batch(folder):
    data = echosyn.load_dataset(folder)
    a, b = (torch.stack([clip for clip, _ in data.clips(8, 1, seed=s)]) for s in (1, 1))
    other = torch.stack([clip for clip, _ in data.clips(8, 1, seed=2)])
    assert torch.equal(a, b)
    assert not torch.equal(a, other)
    batch, efs = next(iter(torch.utils.data.DataLoader(data.clips(8, 2), batch_size=3)))
    assert batch.shape == (3, 1, 8, 112, 112)
    assert efs.shape == (3,)


def test_a_dataset_without_labels_has_no_clips(tmp_path):
    make_phantom(tmp_path / "d", num=2, seed=1, num_frames=64)
    records = [filelist.Record(r.name, num_frames=64, fps=r.fps) for r in filelist.read(tmp_path / "d")]
    filelist.write(tmp_path / "d", records)
    with pytest.raises(DataError, match="needs a label"):
        echosyn.load_dataset(tmp_path / "d").clips()


def moving_pictures(page: str, tmp_path) -> list[int]:
    """Numbers of frames of the GIFs in a page."""
    counts = []
    for data in re.findall(r"src='data:image/gif;base64,([^']+)'", page):
        (tmp_path / "x.gif").write_bytes(base64.b64decode(data))
        with av.open(str(tmp_path / "x.gif")) as gif:
            counts.append(sum(1 for _ in gif.decode(video=0)))
    return counts


def test_datasets_and_videos_show_themselves_in_a_notebook(folder, tmp_path):
    data = echosyn.load_dataset(folder)
    assert "4 labelled" in repr(data)
    page = data._repr_html_()
    assert "<table>" in page
    assert moving_pictures(page, tmp_path) == [64]
    assert moving_pictures(data[0]._repr_html_(), tmp_path) == [64]
    assert "EF" in repr(data[0])


def test_a_video_is_saved_by_its_extension(folder, tmp_path):
    echo = echosyn.load_dataset(folder)[0]
    for name in ("a.avi", "a.mp4", "a.gif"):
        assert len(video.read(echo.save(tmp_path / name)).frames) == 64
    with pytest.raises(ConfigError, match=r"\.avi"):
        echo.save(tmp_path / "a.txt")


def test_a_pipeline_gives_equal_arrays_for_equal_arguments_and_hears_the_ef():
    pipeline = echosyn.load_pipeline()
    still = pipeline.sample(3)
    assert still.status in ("kept", "rejected")
    low, high, again = (pipeline(ef, seed=3, num_frames=64) for ef in (20, 70, 20))
    assert np.array_equal(low.frames, again.frames)
    assert low.frames.shape == (64, 112, 112)
    assert low.measured_ef < high.measured_ef - 20
    with pytest.raises(ConfigError, match="expected one of"):
        echosyn.load_pipeline(view="nowhere")


@pytest.mark.slow
def test_generate_makes_what_the_command_makes_and_shows_it(tmp_path):
    made = echosyn.generate(tmp_path / "python", num=2, ef="40", num_frames=64, seed=3)
    words = [
        "generate",
        str(tmp_path / "shell"),
        "--num",
        "2",
        "--ef",
        "40",
        "--frames",
        "64",
        "--seed",
        "3",
        "--quiet",
    ]
    subprocess.run([sys.executable, "-m", "echosyn", *words], check=True, capture_output=True)
    files = {
        p.relative_to(tmp_path / "python"): p.read_bytes() for p in (tmp_path / "python").rglob("*") if p.is_file()
    }
    assert files == {
        p.relative_to(tmp_path / "shell"): p.read_bytes() for p in (tmp_path / "shell").rglob("*") if p.is_file()
    }
    assert [echo.ef for echo in made.dataset] == [40, 40]
    assert not made.screened
    assert "videos" in repr(made)
    assert moving_pictures(made._repr_html_(), tmp_path) == [64]


def test_an_unknown_option_names_the_near_miss(tmp_path):
    with pytest.raises(ConfigError, match="num_frame: unknown option; did you mean 'num_frames'"):
        echosyn.generate(tmp_path / "out", num_frame=8)
    assert not (tmp_path / "out").exists()


def test_the_verdict_of_an_audit_is_a_property(tmp_path):
    assert echosyn.AuditResult(tmp_path, {"verdict": "pass"}).passed
    assert not echosyn.AuditResult(tmp_path, {"verdict": "fail"}).passed


@pytest.mark.slow
def test_evaluate_gives_its_figures_and_its_page(folder, tmp_path):
    real = tmp_path / "real"
    make_phantom(real, num=24, seed=6, num_frames=64)  # of which the held-out ones suffice for two halves
    result = echosyn.evaluate(
        folder, real, tmp_path / "report", fidelity_only=True, protocol="echosyn-quick-v3", device="cpu"
    )
    assert result.page.exists()
    assert "Speckle distance (speckle)" in result.figures
    assert all(np.isfinite(value) for value in result.figures.values())
    assert "<table>" in result._repr_html_()
