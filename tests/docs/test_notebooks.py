"""Every notebook runs from an empty folder, and is a page of the site."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_is_made_of_cells_that_compile(notebook: Path) -> None:
    text = notebook.read_text()
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert cells[0] == ""
    assert cells[1].startswith(" [markdown]\n# # ")
    assert len(text.splitlines()) < 100
    for cell in cells[1:]:
        compile("#" + cell, str(notebook), "exec")


def test_there_is_a_notebook_for_each_step() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "audit_a_set", "export", "generate_and_look", "train_on_synthetic", "your_own_generator",
    ]  # fmt: skip
