"""The examples of docs/interoperability.md run against the real libraries, where they are installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_every_library_has_an_example() -> None:
    assert len(EXAMPLES) == 5
    assert all(len(code.splitlines()) <= 10 for code in EXAMPLES.values())
