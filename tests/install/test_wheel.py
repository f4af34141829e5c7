"""The wheel alone, in an environment that holds what it declares and nothing else, does what the first page promises."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
packaging = pytest.importorskip("packaging.requirements", reason="needs packaging")


def needed(asked: list[str], extras: frozenset[str] = frozenset()) -> Iterator[Distribution]:
    """The distributions that requirements bring, theirs included, taken from this environment."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(text, extras) for text in asked]
    while todo:
        text, given = todo.pop()
        one = packaging.Requirement(text)
        if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in given or {""}):
            continue
        key = (one.name.lower(), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(one.name)
        except PackageNotFoundError:
            continue  # of another platform
        yield found
        todo += [(more, key[1]) for more in found.requires or []]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment: the wheel, and links to the files of what it declares."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home / "venv", with_pip=False, symlinks=True)
    (packages,) = (home / "venv").glob("lib/python*/site-packages")
    for one in needed(PROJECT["dependencies"]):
        for top in {Path(str(file)).parts[0] for file in one.files or []} - {"..", "__pycache__"}:
            source, link = Path(str(one.locate_file(top))), packages / top
            if source.exists() and not link.exists():
                link.symlink_to(source)
    shutil.unpack_archive(wheel, packages, "zip")
    return home / "venv" / "bin"


def run(bare: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"OMP_NUM_THREADS": "1"}
    command = [str(bare / "python"), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_wheel_alone_makes_a_dataset_and_its_page(bare: Path, tmp_path: Path) -> None:
    where = run(bare, "-c", "import echosyn; print(echosyn.__file__)", cwd=tmp_path)
    assert str(bare.parent) in where.stdout, where.stderr
    for absent in ("tensorboard", "torchmetrics", "sklearn", "gradio", "pydicom", "pytest"):
        assert run(bare, "-c", f"import {absent}", cwd=tmp_path).returncode == 1, absent
    done = run(bare, "-m", "echosyn", "quickstart", "quick", "--num", "2", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "quick" / "run" / "report" / "index.html").stat().st_size > 10_000
    assert len(list((tmp_path / "quick" / "run" / "synthetic" / "Videos").glob("*.avi"))) == 2


@pytest.mark.slow
def test_what_an_extra_brings_is_named_by_the_extra(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(b"\0" * 128 + b"DICM")
    for words, extra in ((["import", "in", "out", "--from", "dicom"], "dicom"), (["demo"], "demo")):
        done = run(bare, "-m", "echosyn", *words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert f"pip install 'echosyn[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_version_is_the_same_everywhere(wheel: Path, bare: Path, tmp_path: Path) -> None:
    shown = run(bare, "-m", "echosyn", "--version", cwd=tmp_path).stdout.strip()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("METADATA"))
        (declared,) = re.findall(r"^Version: (.+)$", archive.read(name).decode(), re.MULTILINE)
    assert shown == declared != ""
    assert "version" in PROJECT["dynamic"]


def test_what_names_the_version_names_this_one() -> None:
    (version,) = re.findall(
        r'^__version__ = "(.+)"$', (ROOT / "src" / "echosyn" / "__init__.py").read_text(), re.MULTILINE
    )
    (newest, *_) = re.findall(r"^## \[(\d[^]]*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (version, newest[1]) == (newest[0], str(cited["date-released"]))
    assert cited["version"] == version
    files = [*(ROOT / "deploy").iterdir(), ROOT / "docs" / "releasing.md", ROOT / "README.md"]
    named = {v for f in files for v in re.findall(r"echosyn[:-](\d+\.\d+\.\d+)", f.read_text())}
    assert named == {version}


def test_all_is_every_extra_that_a_user_wants() -> None:
    extras = PROJECT["optional-dependencies"]
    (of_all,) = extras["all"]
    inside = set(re.findall(r"[a-z0-9]+", of_all.partition("[")[2]))
    assert inside == set(extras) - {"all", "dev", "docs", "federated", "interop", "track"}
