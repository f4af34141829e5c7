"""A slip of the hand is told at once: before torch is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from echosyn.apps.cli import main
try:
    main(sys.argv[1:])
finally:
    print(sorted({"torch", "numpy", "diffusers"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generate OUT --models NONE", "no such folder; expected a folder with vae, lidm, lvdm and reid models"),
        ("publish NONE OUT --licence cc-by-4.0", "no such folder; expected a dataset folder with FileList.csv"),
        ("audit HERE NONE OUT --models shipped", "no such folder; expected a dataset folder with FileList.csv"),
        ("import NONE OUT --from folder", "no such folder; expected a folder with recordings"),
        ("run HERE HERE", "exists already; expected a new folder"),
    ],
)
def test_a_folder_that_is_not_there_costs_no_seconds(words: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "HERE").mkdir()
    (tmp_path / "HERE" / "file").touch()
    command = [sys.executable, "-c", CODE, *words.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "[]\n")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "OUT").exists()
