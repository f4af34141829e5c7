"""`echosyn texture` as a user runs it."""

import csv
import shutil

import pytest

from echosyn import weights
from echosyn.data import video
from echosyn.texture import Texture
from echosyn.texture.texture import FILE

MODELS = weights.shipped()


@pytest.fixture(scope="module")
def recorded(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("texture") / "real"
    program.good("phantom", folder, "--num", 14, "--frames", 64, "--seed", 5)
    return folder


@pytest.fixture
def damaged(tmp_path):
    """The VAE that ships with a texture of an earlier version, say: what says so tells to run `echosyn texture`."""
    shutil.copytree(MODELS / "vae", tmp_path / "damaged")
    (tmp_path / "damaged" / FILE).write_bytes(b"of another version")
    return tmp_path / "damaged"


@pytest.mark.slow
def test_a_vae_gets_the_speckle_of_recordings_and_videos_have_it(program, recorded, damaged, tmp_path):
    program.good("texture", recorded, tmp_path / "vae", "--vae", damaged, "--steps", 20, "--frames", 40)
    model = tmp_path / "vae" / "model"
    assert Texture.load(model) is not None
    assert weights.weights_hash(model) == weights.weights_hash(MODELS / "vae")
    program.good("sample", tmp_path / "stills", "--lidm", MODELS / "lidm_a4c", "--num", 1)
    how = ["--lvdm", MODELS / "lvdm", "--vae", tmp_path / "vae", "--frames", 32]
    program.good("animate", tmp_path / "stills", tmp_path / "set", *how)


@pytest.mark.slow
def test_recordings_that_are_too_short_or_slow_give_their_grain_with_the_course_in_time_of_the_vae_s_own(
    program, recorded, tmp_path
):
    stills = tmp_path / "stills"
    shutil.copytree(recorded, stills)
    rows = [row | {"NumberOfFrames": "16"} for row in csv.DictReader((stills / "FileList.csv").open())]
    for row in rows:
        path = stills / "Videos" / f"{row['FileName']}.avi"
        video.write_avi(path, video.read(path).grey()[:16], 32.0)
    with (stills / "FileList.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    made = program.good("texture", stills, tmp_path / "vae", "--vae", MODELS / "vae", "--steps", 20, "--json").json
    assert made["motion"] == "kept"
    assert Texture.load(tmp_path / "vae" / "model") is not None


def test_too_few_videos_are_refused_in_one_line_and_leave_nothing(program, recorded, damaged, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    (few / "Videos").symlink_to(recorded / "Videos")
    lines = (recorded / "FileList.csv").read_text().splitlines()
    (few / "FileList.csv").write_text("\n".join(lines[:4]) + "\n")
    for vae, missing in ((MODELS / "vae", "a sector"), (damaged, "a sector and at least 34 frames")):
        done = program("texture", few, tmp_path / "vae", "--vae", vae, "--steps", 2)
        assert done.code == 2
        assert f"videos have {missing}, expected at least 8" in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) < 200
    assert not (tmp_path / "vae").exists()


@pytest.mark.parametrize("option", ["--videos", "--frames", "--steps"])
def test_numbers_that_make_no_sense_are_refused(program, recorded, tmp_path, option):
    done = program("texture", recorded, tmp_path / "vae", "--vae", MODELS / "vae", option, 0)
    assert done.code == 2
    assert "expected numbers above 0" in done.stderr
