from pathlib import Path

import pytest

from echosyn.apps.cli import main
from echosyn.apps.cli.executors import ray_said


def test_a_place_that_is_no_folder_is_a_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        main(["phantom", str(tmp_path / "file" / "out"), "--num", "1", "--frames", "64", "--quiet"])
    assert end.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "not a directory" in lines[0]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("encode IN OUT --ray", "encode IN OUT --ray auto"),
        ("encode --ray IN OUT", "encode --ray auto IN OUT"),
        ("encode IN OUT --ray --workers 2", "encode IN OUT --ray auto --workers 2"),
        ("encode --ray local IN OUT", None),
        ("encode --ray auto IN OUT", None),
        ("encode --ray=auto IN OUT", None),
        ("encode --ray 10.0.0.1:6379 IN OUT", None),
        ("encode --ray head-node.cluster:6379 IN OUT", None),
        ("encode --ray [::1]:6379 IN OUT", None),
        ("encode --ray s3://bucket/in OUT", "encode --ray auto s3://bucket/in OUT"),
        ("encode -- --ray OUT", None),
        ("encode IN OUT", None),
    ],
)
def test_a_bare_ray_means_auto_and_eats_no_folder(words: str, said: str | None) -> None:
    assert ray_said(words.split()) == (said or words).split()


def test_a_verb_hears_a_bare_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["train", "reid", "--ray", str(tmp_path), str(tmp_path / "out"), "--dry-run"]
    assert "--ray has no effect with --dry-run" in refusal(given, capsys)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--num", "3"], "--num"),
        (["--num", "16"], "--num"),  # the default, but said
        (["--ef", "60", "--require", "all", "--seed", "1"], "--seed, --ef, --require"),
        (["--workers", "2", "--dry-run"], "--dry-run, --workers"),
    ],
)
def test_what_has_no_effect_on_a_replay_is_refused_by_name(
    options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "heart.json").write_text("{}")
    line = refusal(["generate", str(tmp_path / "out"), "--replay", str(tmp_path / "heart.json"), *options], capsys)
    said, _, rest = line.removeprefix("error: ").partition(": ")
    assert sorted(said.split(", ")) == sorted(named.split(", "))
    assert rest.startswith("no effect with --replay")
    assert not (tmp_path / "out").exists()


def test_what_a_replay_uses_is_not_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "heart.json").write_text("{}")
    used = ["--models", str(tmp_path), "--device", "cpu", "--quiet", "--json"]
    line = refusal(["generate", str(tmp_path / "out"), "--replay", str(tmp_path / "heart.json"), *used], capsys)
    assert "no effect" not in line
    assert "heart.json" in line
