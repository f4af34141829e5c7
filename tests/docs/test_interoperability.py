"""The examples of docs/interoperability.md run against the real libraries, where they are installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_every_library_has_an_example() -> None:
    assert len(EXAMPLES) == 5
    assert all(len(code.splitlines()) <= 10 for code in EXAMPLES.values())
