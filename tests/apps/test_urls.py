"""Verbs that are given URLs do and say what they do and say on local folders."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from echosyn.apps.cli import main
from echosyn.apps.cli.urls import OUT, PLACE, STAYS_LOCAL, Program
from echosyn.apps.cli.verbs import app as verbs
from echosyn.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHOSYN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def program() -> Program:
    """Two verbs of a few lines."""
    app = Program()

    @app.command()
    def join(
        folders: list[Path],
        out: Path,
        also: Annotated[list[str] | None, typer.Option("--also")] = None,
        model: Annotated[Path | None, typer.Option("--model")] = None,
    ) -> None:
        out.mkdir()
        texts = [(f / "x").read_text() for f in [*folders, *([model] if model else [])]]
        texts += [
            f"{name} {(Path(folder) / 'x').read_text()}" for name, _, folder in (a.partition("=") for a in also or [])
        ]
        (out / "x").write_text("".join(texts))
        print(json.dumps({"folder": str(out)}))  # noqa: T201

    @app.command()
    def judge(folder: Path, out: Path) -> None:
        if not (folder / "x").exists():
            raise DataError(f"{folder / 'x'}: no such file")
        out.mkdir()
        (out / "verdict").write_text("crossed")
        typer.echo(f"{out}: crossed")
        typer.echo(f"warning: {folder}", err=True)
        sys.exit(3)

    return app


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        program()(list(arguments))
    return int(end.value.code or 0)


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    for name in "abcd":
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "x").write_text(name)
    return [f"file://{tmp_path}/in/{name}" for name in "abcd"]


def test_every_kind_of_argument_may_be_a_url(inputs, tmp_path, capsys):
    a, b, c, d = inputs
    local = a.removeprefix("file://")
    assert run("join", local, b, f"file://{tmp_path}/out", "--also", f"name={c}", f"--model={d}") == 0
    assert (tmp_path / "out/x").read_text() == "abdname c"
    assert json.loads(capsys.readouterr().out) == {"folder": f"file://{tmp_path}/out"}


def test_the_exit_code_and_the_words_of_a_verb_are_kept_and_name_urls(inputs, tmp_path, capsys):
    assert run("judge", inputs[0], f"file://{tmp_path}/out") == 3
    said = capsys.readouterr()
    assert said.out == f"file://{tmp_path}/out: crossed\n"
    assert f"warning: {inputs[0]}\n" in said.err
    assert contents(tmp_path / "out") == {"verdict": b"crossed"}


def test_an_error_names_the_url_and_nothing_is_sent(inputs, tmp_path, cache):
    (tmp_path / "in/a/x").rename(tmp_path / "in/a/y")
    with pytest.raises(DataError, match=f"^{re.escape(inputs[0])}/x: no such file$"):
        program()(["judge", inputs[0], f"file://{tmp_path}/out"])
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_refused_before_anything_is_downloaded(inputs, tmp_path, cache):
    with pytest.raises(DataError, match="exists already"):
        program()(["join", inputs[0], inputs[1]])
    assert not list(cache.rglob("x"))


def test_a_verb_makes_the_same_folder_on_urls(tmp_path, capsys):
    few = ["--num", "1", "--frames", "64", "--json"]
    for out in (str(tmp_path / "local"), f"file://{tmp_path}/bucket/remote"):
        with pytest.raises(SystemExit) as end:
            main(["phantom", out, *few])
        assert end.value.code == 0
        assert json.loads(capsys.readouterr().out) == {"dataset": out, "videos": 1}
    assert contents(tmp_path / "local") == contents(tmp_path / "bucket/remote")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "vae", "DATA", "file:///x/run"],
        ["quickstart", "file:///x/quick"],
        ["review", "file:///x/d", "--by", "me"],
        ["frames", "DATA", "file:///x/f"],
        ["weights", "fetch", "i3d", "--to", "file:///x/w"],
        ["demo", "--models", "file:///x/m"],
        ["import", "DATA", "o", "--from", "dicom", "--private", "file:///x/p"],
        ["import", "DATA", "file:///x/o", "--from", "dicom"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_what_stays_local_says_why_and_does_nothing(arguments, capsys, cache):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert re.fullmatch(r"error: .*file:///x/\w+: .*(local|secret).*\n", said)
    assert not cache.exists()


def test_what_stays_local_exists():
    group = typer.main.get_command(verbs)
    commands = [*group.commands.items(), *group.commands["weights"].commands.items()]
    assert STAYS_LOCAL.keys() <= {(name, p.name) for name, command in commands for p in command.params}


def test_every_verb_calls_its_new_folder_out():
    group = typer.main.get_command(verbs)
    for name, command in [*group.commands.items(), *group.commands["weights"].commands.items()]:
        new = [p.name for p in command.params if (getattr(p, "help", "") or "").startswith("New folder")]
        assert set(new) <= {OUT}, name


@pytest.mark.parametrize(
    ("word", "url"),
    [
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("--vae=gs://bucket/day=3/vae", "gs://bucket/day=3/vae"),
        ("as-real=s3://bucket/a", "s3://bucket/a"),
        ("s3://bucket/a=0.5", "s3://bucket/a"),
        ("https://host/a", None),
        ("--from=http://host/a", None),
        ("C://windows", None),
        ("a title about s3://bucket", None),
        ("folder/s3", None),
    ],
)
def test_what_a_url_is(word, url):
    found = PLACE.fullmatch(word)
    assert (found and found["url"]) == url
