"""A user's mistake is one line on stderr and exit code 2, and nothing is left behind."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

Refused = Callable[..., str]


@pytest.fixture
def refused(program, tmp_path) -> Refused:
    """Run a command that must fail, with ``OUT`` standing for the new folder; its message."""

    def run(*arguments: object, rows: int = 0) -> str:
        out = tmp_path / "OUT"
        result = program(*(out if a == "OUT" else a for a in arguments), "--quiet")
        assert (result.code, result.stdout) == (2, ""), result.stderr
        head, *listed = result.stderr.splitlines()
        assert head.startswith("error: ")
        assert "Traceback" not in result.stderr
        assert len(listed) == rows
        assert not list(tmp_path.glob("OUT*")), "something is left behind"
        return result.stderr

    return run


@pytest.fixture
def spoiled(dataset, tmp_path) -> Path:
    """The dataset with one video cut in the middle."""
    folder = tmp_path / "spoiled"
    shutil.copytree(dataset, folder)
    cut = folder / "Videos" / "phantom_a4c_3_00002.avi"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return folder


@pytest.fixture
def other_vae(workshop, tmp_path) -> Path:
    """The VAE with slightly other weights."""
    folder = tmp_path / "other_vae"
    shutil.copytree(workshop.model("vae") / "model", folder)
    path = folder / "diffusion_pytorch_model.safetensors"
    save_file({name: 1.01 * weight for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})
    return folder


def with_efs(dataset: Path, folder: Path, *efs: str) -> Path:
    """The dataset with other EFs in its first rows."""
    shutil.copytree(dataset, folder)
    listed = folder / "FileList.csv"
    header, *lines = listed.read_text().splitlines()
    for i, ef in enumerate(efs):
        name, _, rest = lines[i].split(",", 2)
        lines[i] = f"{name},{ef},{rest}"
    listed.write_text("\n".join([header, *lines, ""]))
    return folder


def test_no_file_list(refused, dataset, workshop, tiny, tmp_path):
    (tmp_path / "bare").mkdir()
    shutil.copytree(dataset / "Videos", tmp_path / "bare" / "Videos")
    for command in (
        ["encode", tmp_path / "bare", "OUT", "--vae", workshop.model("vae")],
        ["train", "vae", tmp_path / "bare", "OUT", *tiny("vae")],
        ["run", tmp_path / "bare", "OUT"],
        ["evaluate", workshop.synthetic, tmp_path / "bare", "OUT"],
    ):
        message = refused(*command)
        assert f"{tmp_path / 'bare' / 'FileList.csv'}: no such file" in message
        assert "echosyn import" in message


def test_an_empty_folder(refused, workshop, tiny, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (
        ["encode", empty, "OUT", "--vae", workshop.model("vae")],
        ["train", "vae", empty, "OUT", *tiny("vae")],
        ["train", "lvdm", empty, "OUT", *tiny("lvdm")],
        ["run", empty, "OUT"],
        ["import", empty, "OUT", "--from", "folder"],
        ["import", empty, "OUT", "--from", "dynamic"],
        ["animate", empty, "OUT", "--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")],
        ["filter", workshop.candidates, "OUT", "--reid", workshop.model("reid"), "--reference", empty],
        ["generate", "OUT", "--models", empty],
    ):
        assert str(empty) in refused(*command)


def test_a_missing_folder(refused, workshop, tiny, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command in (
        ["encode", nowhere, "OUT", "--vae", workshop.model("vae")],
        ["train", "vae", nowhere, "OUT", *tiny("vae")],
        ["train", "reid", nowhere, "OUT", *tiny("reid")],
        ["run", nowhere, "OUT"],
        ["import", nowhere, "OUT", "--from", "folder"],
        ["import", nowhere, "OUT", "--from", "pediatric"],
        ["evaluate", workshop.synthetic, nowhere, "OUT"],
        ["generate", "OUT", "--models", workshop.models, "--ef-from", nowhere],
    ):
        assert str(nowhere) in refused(*command)


def test_a_corrupt_video_among_good_ones(refused, workshop, spoiled, tiny):
    for command in (
        ["encode", spoiled, "OUT", "--vae", workshop.model("vae")],
        ["run", spoiled, "OUT"],
        ["import", spoiled / "Videos", "OUT", "--from", "folder"],
        ["evaluate", workshop.synthetic, spoiled, "OUT", *tiny("ef")],
        ["evaluate", spoiled, workshop.synthetic, "OUT", *tiny("ef")],
        ["train", "vae", spoiled, "OUT", *tiny("vae", "loop.batch_size=64")],
    ):
        message = refused(*command)
        assert "phantom_a4c_3_00002" in message
        assert "frames" in message


def test_several_corrupt_videos_are_all_named(refused, workshop, spoiled):
    (spoiled / "Videos" / "phantom_a4c_3_00004.avi").write_bytes(b"RIFF")
    for command in (
        ["run", spoiled, "OUT"],
        ["import", spoiled / "Videos", "OUT", "--from", "folder"],
        ["evaluate", workshop.synthetic, spoiled, "OUT"],
    ):
        message = refused(*command, rows=2)
        assert "phantom_a4c_3_00002" in message
        assert "phantom_a4c_3_00004" in message


def test_check_lists_what_is_wrong(program, spoiled):
    result = program("check", spoiled, "--json", "--quiet")
    assert (result.code, result.stderr) == (2, "")
    assert [problem["name"] for problem in result.json["problems"]] == ["phantom_a4c_3_00002"]


def test_ef_of_155(refused, workshop, dataset, tiny, tmp_path):
    wrong = with_efs(dataset, tmp_path / "wrong", "155.0")
    expected = f"{wrong / 'FileList.csv'}: 1 bad row(s): line 2: EF is 155.0, expected a percentage in 0..100"
    for command in (
        ["encode", wrong, "OUT", "--vae", workshop.model("vae")],
        ["train", "ef", wrong, "OUT", *tiny("ef")],
        ["run", wrong, "OUT"],
        ["generate", "OUT", "--models", workshop.models, "--ef-from", wrong],
    ):
        assert refused(*command) == f"error: {expected}\n"
    message = refused("import", wrong, "OUT", "--from", "dynamic")
    assert message.endswith(f"{wrong / 'FileList.csv'}: line 2: EF is 155.0, expected a percentage in 0..100\n")
    assert "--skip-bad" in message


def test_several_bad_rows_are_all_named(refused, dataset, tmp_path):
    message = refused("run", with_efs(dataset, tmp_path / "wrong", "155", "-3", "high"), "OUT", rows=3)
    assert ("line 2" in message, "line 3" in message, "line 4" in message) == (True, True, True)


def test_a_model_of_the_wrong_kind(refused, workshop, dataset, tmp_path):
    vae, lidm, lvdm, reid, ef = (workshop.model(stage) for stage in ("vae", "lidm", "lvdm", "reid", "ef"))
    mixed = tmp_path / "mixed"
    shutil.copytree(lvdm / "model", mixed / "lidm")
    for command, expected in (
        (["encode", dataset, "OUT", "--vae", lidm], "vae"),
        (["sample", "OUT", "--lidm", vae], "lidm"),
        (["sample", "OUT", "--lidm", lvdm], "lidm"),
        (["filter", workshop.candidates, "OUT", "--reid", ef, "--reference", workshop.latents], "reid"),
        (["animate", workshop.kept, "OUT", "--lvdm", reid, "--vae", vae], "lvdm"),
        (["animate", workshop.kept, "OUT", "--lvdm", lvdm, "--vae", reid], "vae"),
        (["evaluate", workshop.synthetic, dataset, "OUT", "--vae", lidm], "vae"),
        (["run", dataset, "OUT", "--models", mixed], "lidm"),
    ):
        assert f"expected a {expected} model" in refused(*command)


def test_a_missing_model_folder(refused, workshop, dataset, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command in (
        ["encode", dataset, "OUT", "--vae", nowhere],
        ["sample", "OUT", "--lidm", nowhere],
        ["filter", workshop.candidates, "OUT", "--reid", nowhere, "--reference", workshop.latents],
        ["animate", workshop.kept, "OUT", "--lvdm", nowhere, "--vae", workshop.model("vae")],
        ["generate", "OUT", "--models", nowhere],
        ["run", dataset, "OUT", "--models", nowhere],
        ["evaluate", workshop.synthetic, dataset, "OUT", "--vae", nowhere],
    ):
        assert f"{nowhere}: no such" in refused(*command)


def test_a_damaged_model(refused, program, workshop, dataset, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(workshop.model("vae") / "model", damaged)
    path = damaged / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert "cannot be loaded" in refused("encode", dataset, "OUT", "--vae", damaged)
    path.unlink()
    assert (
        str(damaged)
        in program("encode", dataset, tmp_path / "new", "--vae", damaged, "--quiet").stderr.splitlines()[-1]
    )
    assert not list(tmp_path.glob("new*"))


def test_damaged_latents(refused, workshop, tiny, tmp_path):
    damaged = tmp_path / "latents"
    shutil.copytree(workshop.latents, damaged)
    path = damaged / "Latents" / "phantom_a4c_3_00001.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    reid = ["--reid", workshop.model("reid"), "--reference", damaged]
    assert path.name in refused("filter", workshop.candidates, "OUT", *reid)
    assert path.name in refused("train", "lvdm", damaged, "OUT", *tiny("lvdm", "loop.batch_size=8"))


def test_models_of_another_vae(refused, workshop, dataset, other_vae, program, tmp_path):
    animate = ["animate", workshop.kept, "OUT", "--lvdm", workshop.model("lvdm"), "--vae", other_vae]
    assert "another VAE" in refused(*animate)
    program.good("encode", dataset, tmp_path / "latents", "--vae", other_vae)
    reid = ["--reid", workshop.model("reid"), "--reference", tmp_path / "latents"]
    assert "another VAE" in refused("filter", workshop.candidates, "OUT", *reid)


def test_screens_are_only_for_what_they_were_calibrated_for(refused, program, workshop, other_vae, tmp_path):
    models, latents = workshop.folder / "models", workshop.latents
    once = ["--models", models, "--reference", latents]
    assert "another VAE" in refused("calibrate", "OUT", *once, "--vae", other_vae)
    assert "reid" in refused("calibrate", "OUT", *once, "--reid", workshop.model("ef"))
    screens = tmp_path / "screens"
    warned = program.good("calibrate", screens, *once).stderr
    assert "2 held-out patients are too few to know a false rejection rate of 5.0%, expected at least 100" in warned
    generate = ["generate", "OUT", "--models", models, "--num", 2, "--calibrated"]
    assert "leave one of the two out" in refused(*generate, screens, "--reference", latents)
    assert "leave one of the two out" in refused(*generate, screens, "--false-rejection-rate", 0.05)
    assert "not a finished folder of `echosyn calibrate`" in refused(*generate, latents)
    assert "for another vae than" in refused("generate", "OUT", "--num", 2, "--calibrated", screens)
    kept = ["filter", workshop.candidates, "OUT", "--reid", workshop.model("reid")]
    assert "give --reference or --calibrated" in refused(*kept)
    assert "leave one of the two out" in refused(*kept, "--reference", latents, "--calibrated", screens)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loop.stepz=3", "did you mean 'loop.steps'?"),
        ("looop.steps=3", "did you mean 'loop'?"),
        ("network.layers_per_blok=1", "did you mean 'layers_per_block'?"),
        ("network._class_name=AutoencoderKLL", "expected AutoencoderKL"),
        ("loop.steps=0", "loop.steps = 0"),
        ("loop.steps=many", "loop.steps = 'many'"),
        ("loop.steps", "expected NAME=VALUE"),
        ("kl_weight=-1", "kl_weight = -1"),
    ],
)
def test_a_wrong_setting(refused, dataset, setting, said):
    assert said in refused("train", "vae", dataset, "OUT", "--set", setting)


def test_a_wrong_setting_of_run(refused, dataset, tmp_path):
    assert "did you mean 'loop.steps'?" in refused("run", dataset, "OUT", "--set", "vae.loop.stepz=3")
    assert "did you mean 'vae'?" in refused("run", dataset, "OUT", "--set", "vea.loop.steps=3")
    (tmp_path / "mine.yaml").write_text("vae: {loop: {stepz: 3}}")
    message = refused("run", dataset, "OUT", "--config", tmp_path / "mine.yaml")
    assert message.startswith(f"error: {tmp_path / 'mine.yaml'}: settings of vae: unknown setting 'loop.stepz'")
    (tmp_path / "mine.yaml").write_text("vae: {loop: [")
    assert "mine.yaml" in refused("run", dataset, "OUT", "--config", tmp_path / "mine.yaml")


def test_an_option_is_named_as_it_was_typed(refused):
    assert refused("phantom", "OUT", "--frames", 10) == "error: --frames 10: expected 64..200 frames\n"
    assert refused("phantom", "OUT", "--fps", 7.5).startswith("error: --fps 7.5: expected 20..120")


def test_a_choice_that_does_not_exist(program, tmp_path):
    result = program("phantom", tmp_path / "OUT", "--view", "A5C")
    assert result.code == 2
    assert "Invalid value for '--view': 'A5C' is not one of 'A4C', 'PSAX', 'both'." in result.stderr
    result = program("weights", "import", "x", tmp_path / "OUT", "--from", "other")
    assert "Invalid value for '--from': 'other' is not one of" in result.stderr


def test_the_page_without_models_is_not_served(program, tmp_path):
    result = program("demo", "--models", tmp_path / "nowhere", "--port", 0)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {tmp_path / 'nowhere'}: no such folder")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["audit", "withdraw"])
def test_missing_sets_are_named_before_the_models(refused, dataset, tmp_path, verb):
    nowhere = tmp_path / "nowhere"
    for sets in ((nowhere, dataset), (dataset, nowhere)):
        assert refused(verb, *sets, "OUT").startswith(f"error: {nowhere}: no such folder; expected a dataset")


def test_an_unknown_preset(refused, dataset):
    assert "did you mean 'phantom'?" in refused("run", dataset, "OUT", "--preset", "phantm")
    assert "did you mean 'phantom'?" in refused("train", "vae", dataset, "OUT", "--preset", "phantm")


@pytest.mark.parametrize("ef", ["10..190", "90..10", "-5..20", "low", "10..", "nan"])
def test_a_wrong_ef(refused, workshop, ef):
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")]
    assert f"--ef {ef}: expected" in refused("animate", workshop.kept, "OUT", *models, f"--ef={ef}")


@pytest.mark.parametrize("crop", ["0,0,112", "a,b,c,d", "0,0,500,500", "-1,0,10,10", "0,0,0,10"])
def test_a_wrong_crop(refused, dataset, tmp_path, crop):
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(dataset / "Videos" / "phantom_a4c_3_00000.avi", one)
    assert "expected" in refused("import", one, "OUT", "--from", "folder", f"--crop={crop}")


def test_numbers_out_of_range(refused, workshop, dataset, tiny):
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")]
    for command in (
        ["phantom", "OUT", "--num", 0],
        ["phantom", "OUT", "--num", 1, "--frames", 20],
        ["sample", "OUT", "--lidm", workshop.model("lidm"), "--num", 0],
        ["animate", workshop.kept, "OUT", *models, "--frames", 0],
        ["animate", workshop.kept, "OUT", *models, "--batch-size", 0],
        ["generate", "OUT", "--models", workshop.models, "--num", 0],
        ["train", "vae", dataset, "OUT", *tiny("vae"), "--device", "tpu"],
        ["run", dataset, "OUT", "--num", 0],
        ["run", dataset, "OUT", "--frames", 0],
    ):
        assert "expected" in refused(*command)


def test_an_existing_folder_is_never_overwritten(program, workshop, dataset, tiny, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    models = ["--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")]
    for command in (
        ["phantom", out, "--num", 1],
        ["import", dataset / "Videos", out, "--from", "folder"],
        ["train", "vae", dataset, out, *tiny("vae")],
        ["train", "vae", dataset, out, *tiny("vae"), "--resume"],
        ["encode", dataset, out, "--vae", workshop.model("vae")],
        ["sample", out, "--lidm", workshop.model("lidm")],
        ["animate", workshop.kept, out, *models],
        ["generate", out, "--models", workshop.models],
        ["evaluate", workshop.synthetic, dataset, out],
        ["run", dataset, out],
    ):
        result = program(*command, "--quiet")
        assert result.code == 2
        assert (
            result.stderr == f"error: {out}: exists already; expected a new folder: choose another name or remove it\n"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (out / "thesis.txt").read_text() == "years of work"


def test_a_step_on_the_wrong_kind_of_folder(refused, workshop, dataset, tiny):
    for wrong, command in (
        (workshop.latents, ["train", "vae", workshop.latents, "OUT", *tiny("vae")]),
        (dataset, ["train", "lvdm", dataset, "OUT", *tiny("lvdm")]),
        (workshop.latents, ["encode", workshop.latents, "OUT", "--vae", workshop.model("vae")]),
        (dataset, ["animate", dataset, "OUT", "--lvdm", workshop.model("lvdm"), "--vae", workshop.model("vae")]),
        (dataset, ["generate", "OUT", "--models", workshop.models, "--reference", dataset]),
        (workshop.latents, ["run", workshop.latents, "OUT"]),
    ):
        assert str(wrong) in refused(*command)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk with room for little."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(program, workshop, dataset, small_disk):
    out = small_disk / "new"
    for command in (
        ["phantom", out, "--num", 20, "--frames", 64],
        ["encode", dataset, out, "--vae", workshop.model("vae")],
        ["sample", out, "--lidm", workshop.model("lidm"), "--num", 256, "--steps", 1],
    ):
        result = program(*command, "--quiet")
        assert (result.code, result.stdout) == (2, ""), result.stderr
        assert result.stderr.startswith(f"error: {out}: the disk is full; ")
        assert result.stderr.count("\n") == 1
        assert "kept in new.partial" in result.stderr
        assert [path.name for path in small_disk.iterdir()] == ["new.partial"]
        shutil.rmtree(small_disk / "new.partial")


def test_after_a_full_disk_the_finished_items_are_kept(program, workshop, dataset, small_disk):
    out = small_disk / "new"
    command = ["encode", dataset, out, "--vae", workshop.model("vae"), "--seed", 1, "--quiet"]
    assert program(*command).code == 2
    kept = {path: path.stat().st_mtime_ns for path in (small_disk / "new.partial" / "Latents").glob("*.safetensors")}
    assert kept
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    assert program(*command).code == 0
    for path, written in kept.items():
        assert (out / "Latents" / path.name).stat().st_mtime_ns == written
    for path in (workshop.latents / "Latents").iterdir():
        assert (out / "Latents" / path.name).read_bytes() == path.read_bytes()


def test_a_full_disk_while_training(program, dataset, tiny, small_disk):
    (small_disk / "ballast").write_bytes(b"0" * 500_000)
    command = ["train", "vae", dataset, small_disk / "new", *tiny("vae"), "--quiet"]
    result = program(*command)
    assert (result.code, result.stdout) == (2, "")
    assert "the disk is full; " in result.stderr
    assert result.stderr.count("\n") == 1
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    assert program(*command, "--resume").code == 0
