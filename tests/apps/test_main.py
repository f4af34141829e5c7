from pathlib import Path

import pytest

from echosyn.apps.cli import main


def test_a_place_that_is_no_folder_is_a_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        main(["phantom", str(tmp_path / "file" / "out"), "--num", "1", "--frames", "64", "--quiet"])
    assert end.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "not a directory" in lines[0]
