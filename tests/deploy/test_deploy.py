"""The files of deploy/ say what the program understands. Nothing here needs docker, SLURM, Kubernetes or a cluster."""

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(DEPLOY.glob("*.sbatch"))
FENCED = re.compile(r"^```(?:console|text|bash|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?:^|[\s'\"`;$])echosyn +([a-z-]+(?: .*)?)$")
PROGRAM = Path(sys.executable).with_name("echosyn")


def calls(text: str) -> list[list[str]]:
    """Every command line of the program, with numbers and names in the place of the shell's variables."""
    found = []
    for line in re.sub(r"\\\n|\n#    ? (?=--)", " ", text).splitlines():
        if call := CALL.search(re.sub(r"^# ", "", line.strip())):
            words = re.sub(r"\$\(\([^)]*\)\)|\$\{?\w+\}?", "1", re.split(r" &&| [12]?>|;", call[1])[0].rstrip("'"))
            more = "--reference 1" if words.startswith("calibrate") else ""
            found.append(shlex.split(words.replace('"$@"', more), comments=True))
    return found


def sources() -> list[Any]:
    page = ROOT / "docs" / "scale.md"
    found = [pytest.param(path.read_text(), id=path.name) for path in sorted(DEPLOY.iterdir())]
    return [*found, pytest.param("\n".join(FENCED.findall(page.read_text())), id=page.name)]


def parse(words: list[str]) -> None:
    """As the program would, without doing anything."""
    from echosyn.apps.cli.verbs import app

    group = typer.main.get_command(app)
    with group.make_context("echosyn", list(words), resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, list(words))  # type: ignore[attr-defined]
        assert command is not None, f"no such verb: {name}"
        with command.make_context(name, rest, parent=context):
            pass


@pytest.mark.parametrize("text", sources())
def test_every_command_line_is_understood(text: str) -> None:
    for words in calls(text):
        parse(words)


def test_a_misspelt_option_is_noticed() -> None:
    assert calls('x\n  echosyn generate "$out" --shard "$((I+1))/$N" "$@"\n') == [["generate", "1", "--shard", "1/1"]]
    for wrong in (["generate", "out", "--shards", "1/2"], ["generates", "out"], ["generate", "out", "--num", "many"]):
        with pytest.raises(Exception, match=r"(?i)no such|valid integer"):
            parse(wrong)


def test_every_file_that_should_has_a_command_line() -> None:
    counted = {path.name: len(calls(path.read_text())) for path in DEPLOY.iterdir() if path.name != "Dockerfile"}
    assert counted == {
        "slurm-calibrate.sbatch": 1,
        "slurm.sbatch": 1,
        "slurm-merge.sbatch": 1,
        "kubernetes.yaml": 3,
        "ray-cluster.yaml": 1,
    }


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def test_kubernetes_makes_each_part_once_on_a_disk_that_all_share() -> None:
    claim, calibrate, parts, merge = kubernetes()
    assert (claim["kind"], claim["spec"]["accessModes"]) == ("PersistentVolumeClaim", ["ReadWriteMany"])
    assert {(job["apiVersion"], job["kind"]) for job in (calibrate, parts, merge)} == {("batch/v1", "Job")}
    spec = parts["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["backoffLimitPerIndex"] > 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert "suspend" not in calibrate["spec"], "it begins"
    assert parts["spec"]["suspend"] is True, "the screens are not there yet"
    assert merge["spec"]["suspend"] is True
    for job in (calibrate, parts, merge):
        pod = job["spec"]["template"]["spec"]
        assert pod["restartPolicy"] == "Never", "pod failure policies and limits per index ask for it"
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        (container,) = pod["containers"]
        assert {"name": "shared", "mountPath": "/shared"} in container["volumeMounts"]
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "PARTS", "value": str(spec["completions"])}]
    names = {
        rule["onExitCodes"]["containerName"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule
    }
    assert names == {container["name"]}


@pytest.fixture
def stub(tmp_path: Path) -> dict[str, str]:
    """An environment whose `echosyn` notes what it is given."""
    program = tmp_path / "bin" / "echosyn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin", "SHARED": str(tmp_path / "shared")}


def shell(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["bash", *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def shards(tmp_path: Path) -> list[str]:
    return re.findall(r"--shard (\S+)", (tmp_path / "calls").read_text())


def test_kubernetes_numbers_its_parts_from_one(stub: dict[str, str], tmp_path: Path) -> None:
    _, calibrate, parts, merge = kubernetes()
    (container,) = parts["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-euc"]
    script = container["args"][0].replace("/shared", stub["SHARED"])
    variables = {one["name"]: one["value"] for one in container["env"]}
    completions = parts["spec"]["completions"]
    for index in range(completions):
        shell(["-euc", script], stub | variables | {"JOB_COMPLETION_INDEX": str(index)})
    assert shards(tmp_path) == [f"{k}/{completions}" for k in range(1, completions + 1)]
    for k in (1, 2):
        (tmp_path / "shared" / "parts" / str(k)).mkdir()
    shell(["-euc", script], stub | variables | {"JOB_COMPLETION_INDEX": "0"})
    assert len(shards(tmp_path)) == completions, "what is there is not made again"
    (once,) = calibrate["spec"]["template"]["spec"]["containers"]
    shell(["-euc", once["args"][0].replace("/shared", stub["SHARED"])], stub)
    made = (tmp_path / "calls").read_text().splitlines()[-1].split()
    assert made[:2] == ["calibrate", f"{stub['SHARED']}/calibrated"]
    assert f"--calibrated {made[1]}\n" in (tmp_path / "calls").read_text(), "what the parts take"
    (container,) = merge["spec"]["template"]["spec"]["containers"]
    shell(["-euc", container["args"][0].replace("/shared", stub["SHARED"])], stub)
    folder = stub["SHARED"]
    assert (tmp_path / "calls").read_text().splitlines()[-1] == (
        f"merge {folder}/parts/1 {folder}/parts/2 {folder}/synthetic"
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_of_bash(script: Path) -> None:
    shell(["-n", str(script)], {"PATH": "/usr/bin:/bin"})
    assert script.read_text().startswith("#!/usr/bin/env bash\n")


def test_slurm_numbers_its_parts_from_one(stub: dict[str, str], tmp_path: Path) -> None:
    script = str(DEPLOY / "slurm.sbatch")
    first, last = map(int, re.findall(r"--array=(\d+)-(\d+)", (DEPLOY / "slurm.sbatch").read_text())[-1])
    assert first == 1
    for task in range(first, last + 1):
        fake = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": str(last - first + 1)}
        shell([script, "--ef", "30..70"], stub | fake)
    assert shards(tmp_path) == [f"{k}/{last}" for k in range(1, last + 1)]
    assert all(line.endswith("--ef 30..70") for line in (tmp_path / "calls").read_text().splitlines())
    repeated = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "2", "PARTS": "16"}
    shell([script], stub | repeated)
    assert shards(tmp_path)[-1] == "7/16"


def test_slurm_calibrates_what_its_parts_are_given(stub: dict[str, str], tmp_path: Path) -> None:
    shell([str(DEPLOY / "slurm-calibrate.sbatch"), "--reference", "latents"], stub)
    assert (tmp_path / "calls").read_text() == f"calibrate {stub['SHARED']}/calibrated --reference latents\n"
    text = (DEPLOY / "slurm.sbatch").read_text()
    (default,) = re.findall(r'"\$\{SHARED:=([^}]*)\}"', text)
    assert re.findall(r"--calibrated (\S+?)\)?$", text, re.MULTILINE) == [f"{default}/calibrated"]


@pytest.mark.slow
def test_the_parts_of_slurm_with_one_calibration_become_the_whole(tmp_path: Path) -> None:
    own = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "SHARED": str(tmp_path / "shared"), "NUM": "8"}
    environment = dict(os.environ) | own | {"OMP_NUM_THREADS": "1"}
    options = ["--frames", "64", "--device", "cpu", "--quiet"]

    def echosyn(*words: str) -> None:
        subprocess.run([str(PROGRAM), *words, "--quiet"], env=environment, capture_output=True, check=True)

    real, latents = str(tmp_path / "real"), str(tmp_path / "latents")
    vae = ROOT / "src" / "echosyn" / "models" / "vae"
    echosyn("phantom", real, "--num", "16", "--seed", "9", "--frames", "64")
    echosyn("encode", real, latents, "--vae", str(vae), "--device", "cpu")
    recordings = ["--reference", latents, "--real", real]
    shell([str(DEPLOY / "slurm-calibrate.sbatch"), *recordings, "--device", "cpu", "--quiet"], environment)
    for task in "12":
        fake = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"}
        once = ["--calibrated", f"{own['SHARED']}/calibrated"]
        shell([str(DEPLOY / "slurm.sbatch"), *options, *once], environment | fake)
    shell([str(DEPLOY / "slurm-merge.sbatch")], environment)
    echosyn("generate", str(tmp_path / "whole"), "--num", "8", *options[:-1], *recordings)
    merged, whole = contents(tmp_path / "shared" / "synthetic"), contents(tmp_path / "whole")
    records = [json.loads(files.pop("provenance.json")) for files in (merged, whole)]
    assert records[0]["call"]["inputs"].pop("calibrated")
    assert (merged, records[0]) == (whole, records[1])


@pytest.mark.slow
def test_the_parts_of_slurm_become_the_whole(tmp_path: Path) -> None:
    own = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "SHARED": str(tmp_path / "shared"), "NUM": "12"}
    environment = dict(os.environ) | own
    options = ["--frames", "64", "--device", "cpu", "--quiet"]
    for task in "12":
        fake = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"}
        shell([str(DEPLOY / "slurm.sbatch"), *options], environment | fake)
        again = shell([str(DEPLOY / "slurm.sbatch"), *options], environment | fake)
        assert again.stdout == f"part {task} is there\n"
    shell([str(DEPLOY / "slurm-merge.sbatch")], environment)
    whole = [str(PROGRAM), "generate", str(tmp_path / "whole"), "--num", "12", "--seed", "0", *options]
    subprocess.run(whole, env=dict(os.environ) | {"OMP_NUM_THREADS": "1"}, capture_output=True, check=True)
    assert contents(tmp_path / "shared" / "synthetic") == contents(tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ignored(path: str) -> bool:
    """Whether the builder of the image does not see a file: the last line that fits it, or a folder of it, decides."""
    verdict = False
    names = [path, *(str(parent) for parent in Path(path).parents)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        variants = {pattern, pattern.removeprefix("**/")}
        if any(fnmatch.fnmatchcase(name, v) for name in names for v in variants):
            verdict = not line.strip().startswith("!")
    return verdict


def test_the_image_gets_the_package_with_its_models_and_nothing_else() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert sorted(copied) == ["LICENSE", "README.md", "pyproject.toml", "src"]
    assert all((ROOT / name).exists() and not ignored(name) for name in copied)
    weights = list((ROOT / "src" / "echosyn" / "models").rglob("*.safetensors"))
    assert weights
    assert not any(ignored(str(path.relative_to(ROOT))) for path in weights)
    for hidden in (
        ".git/config",
        ".venv/bin/python",
        "my-videos/a.avi",
        "tests/cluster.py",
        "src/echosyn/__pycache__/a.pyc",
    ):
        assert ignored(hidden), hidden


def test_the_image_installs_extras_that_exist_and_is_nobodys_root() -> None:
    import tomllib

    text = (DEPLOY / "Dockerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = re.findall(r"'\.\[([a-z0-9,]+)\]'", text)
    assert set(asked.split(",")) == {"dicom", "ray", "s3", "eval"} <= set(extras)
    lines = re.findall(r"^(FROM|USER|COPY|RUN|ENTRYPOINT)\b", text, re.MULTILINE)
    assert lines[0] == "FROM"
    assert lines[lines.index("USER") :] == ["USER", "ENTRYPOINT"], "what is installed belongs to root"
    entry = re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert entry is not None
    assert json.loads(entry[1]) == ["echosyn"]


def test_ray_takes_its_cluster_file() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    cluster = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    util.validate_config(util.prepare_config(cluster))  # Ray's own schema
    kinds = cluster["available_node_types"]
    assert cluster["head_node_type"] in kinds
    assert kinds["gpu"]["resources"]["GPU"] == 1
    assert kinds["gpu"]["min_workers"] >= 1, "a command refuses a cluster that has no room for one worker"
    assert kinds["head"]["resources"]["CPU"] == 0
    assert sum(kind["max_workers"] for kind in kinds.values()) <= cluster["max_workers"]
    assert any("/shared" in command for command in cluster["initialization_commands"])
