"""Every console block of the manual is executed, and what it prints is what the manual says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]
BLOCK = re.compile(
    r"(?:^<!-- docs-test: (?P<mark>slow|skip: [^\n]+?) -->\n\s*)?^```console\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


class Command(NamedTuple):
    """A line to type, and what it prints."""

    line: str
    expected: str


class Block(NamedTuple):
    """The commands of one ``console`` block."""

    mark: str
    commands: list[Command]


def blocks(text: str) -> list[Block]:
    return [Block(found["mark"] or "", commands(found["text"])) for found in BLOCK.finditer(text)]


def commands(block: str) -> list[Command]:
    """``$ `` begins a command, ``> `` continues it, all else is output."""
    result: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            result.append(Command(line[2:], ""))
        elif line.startswith("> ") and result and not result[-1].expected:
            result[-1] = Command(f"{result[-1].line}\n{line[2:]}", "")
        else:
            assert result, f"a console block begins with a command, not with {line!r}"
            result[-1] = Command(result[-1].line, f"{result[-1].expected}{line}\n")
    return result


def agrees(expected: str, output: str) -> bool:
    """Whether the output is as expected; a line of ``...`` stands for any lines, ``...`` in a line for any text."""
    lines = expected.splitlines()
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else _line(line) for line in lines)
    return re.fullmatch(pattern, output) is not None


def _line(line: str) -> str:
    return r"[^\n]*?".join(re.escape(part) for part in line.split("...")) + r"[ ]*\n"


def execute(page: Path, folder: Path, marks: set[str]) -> None:
    """Run a page's blocks in order in one folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"PATH": path, "COLUMNS": "100"}
    for line, expected in (c for block in blocks(page.read_text()) if block.mark in marks for c in block.commands):
        shell = ["bash", "-o", "pipefail", "-c", line]
        done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        assert agrees(expected, done.stdout), f"$ {line}\nexpected:\n{expected}\nprinted:\n{done.stdout}"


def with_marks(*marks: str) -> list[object]:
    chosen = [page for page in PAGES if any(block.mark in marks for block in blocks(page.read_text()))]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in chosen]


@pytest.mark.parametrize("page", with_marks(""))
def test_the_page_is_true(page: Path, tmp_path: Path) -> None:
    execute(page, tmp_path, {""})


@pytest.mark.slow
@pytest.mark.parametrize("page", with_marks("slow"))
def test_the_whole_page_is_true(page: Path, tmp_path: Path) -> None:
    execute(page, tmp_path, {"", "slow"})


@pytest.mark.slow  # `make check` asks the same
def test_generated_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if not target.startswith(("http:", "https:", "mailto:")) and not (page.parent / target).exists()
    ]
    assert not broken


def test_every_flag_that_works_is_in_a_line_that_is_run() -> None:
    text = (ROOT / "docs" / "migrate.md").read_text()
    run = [c.line.split() for block in blocks(text) if not block.mark.startswith("skip") for c in block.commands]
    rows = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in text.splitlines() if row.startswith("| `")]
    works = {(row[1], flag) for row in rows for flag in re.findall(r"--?\w+", row[2])}
    assert len(works) >= 50
    said = {(line[1], word.partition("=")[0]) for line in run if line[0] == "echosyn" for word in line[2:]}
    assert works - said == set()


def test_blocks_and_their_marks_are_found() -> None:
    text = """Words.

```console
$ echo one
one
$ cat <<END
> two
> END
two
```

<!-- docs-test: skip: needs a hospital -->
```console
$ secret
```

<!-- docs-test: slow -->

```console
$ sleep
...
```

```
$ no console
```
"""
    assert blocks(text) == [
        Block("", [Command("echo one", "one\n"), Command("cat <<END\ntwo\nEND", "two\n")]),
        Block("skip: needs a hospital", [Command("secret", "")]),
        Block("slow", [Command("sleep", "...\n")]),
    ]


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("", "", True),
        ("", "a\n", False),
        ("...\n", "", True),
        ("...\n", "a\nb\n", True),
        ("a\n...\nok\n", "a\nok\n", True),
        ("a\n...\nok\n", "a\nx\ny\nok\n", True),
        ("a\n...\nok\n", "a\nx\n", False),
        ("took ... s\n", "took 3.4 s\n", True),
        ("took ... s\n", "took 3\n4 s\n", False),
    ],
)
def test_dots_stand_for_anything(expected: str, output: str, same: bool) -> None:
    assert agrees(expected, output) is same


@pytest.mark.slow
def test_the_python_lines_of_the_readme_run(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    assert "import echosyn" in code
    checked = code + "assert video.frames.ndim == 3 and clip.shape == (1, 16, 112, 112) and 30 <= ef <= 60"
    done = subprocess.run([sys.executable, "-c", checked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
