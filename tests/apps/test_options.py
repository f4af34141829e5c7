"""Options are fields of settings: said once, spelled as ever, and handed to the verb as one object."""

import inspect
import sys
from collections import Counter
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from echosyn.apps.cli import options
from echosyn.apps.cli.verbs import app
from echosyn.settings import Spelled, described, given, settings
from echosyn.settings.making import AnimateSettings, CalibrateSettings, GenerateSettings

SRC = Path(inspect.getfile(options)).parents[2]


@settings
class Base:
    """What others extend."""

    frames: int = 4
    """Frames of a video."""


@settings
class Example(Base):
    """One field of each kind."""

    size: int
    """Side of a square,
    in pixels.

    Only for those who read the code.
    """
    names: Annotated[tuple[str, ...], Spelled("--name")] = ()
    """A name; repeatable."""
    fast: bool = False
    """Leave things out."""
    hidden: Annotated[int, Spelled()] = 3
    """For callers of the library."""
    frames: int = 8


@settings
class Other(Base):
    """Shares a field with `Example`."""


def commands(group: Any, name: str = "") -> list[tuple[str, Any]]:
    found = []
    for inner, command in group.commands.items():
        below = f"{name} {inner}".strip()
        found += commands(command, below) if hasattr(command, "commands") else [(below, command)]
    return found


def call(*arguments: str) -> dict[str, Any]:
    """What a command that takes `Example` and `Other` gets."""
    got: dict[str, Any] = {}

    def verb(out: Path, asked: Example, other: Other) -> None:
        got.update(out=out, asked=asked, other=other)

    program = typer.Typer()
    program.command()(options.options_of(verb))
    typer.main.get_command(program)(["place", *arguments], standalone_mode=False)
    return got


def test_a_field_is_an_option() -> None:
    got = call("--size", "3", "--name", "a", "--name", "b", "--fast")
    assert got["out"] == Path("place")
    assert got["asked"] == Example(size=3, names=("a", "b"), fast=True)


def test_what_is_left_out_is_as_the_settings_say() -> None:
    assert call("--size", "3")["asked"] == Example(size=3)
    assert Example(size=3) == Example(size=3, frames=8, hidden=3, names=(), fast=False)


def test_equal_fields_of_two_settings_are_one_option() -> None:
    got = call("--size", "3", "--frames", "5")
    assert (got["asked"].frames, got["other"].frames) == (5, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing parameter: size"),
        (("--size", "3", "--hidden", "1"), "--hidden"),
        (("--size", "three"), "valid integer"),
    ],
)
def test_other_options_are_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(Exception, match=message):
        call(*arguments)


def test_help_is_the_first_paragraph_of_the_docstring_and_is_inherited() -> None:
    fields = described(Example)
    assert fields["size"].help == "Side of a square, in pixels."
    assert fields["frames"].help == described(Base)["frames"].help == "Frames of a video."
    assert list(fields) == ["size", "names", "fast", "hidden", "frames"], "its own first"


def test_what_was_given_is_what_differs_from_the_defaults() -> None:
    assert given(Example(size=3, fast=True), "names", "fast", "frames") == ["fast"]


def test_settings_are_frozen_and_have_names() -> None:
    with pytest.raises(AttributeError):
        Example(size=3).size = 4  # type: ignore[misc]
    with pytest.raises(TypeError):
        Example(3)  # type: ignore[misc]


def test_a_required_field_is_required_whatever_it_extends() -> None:
    with pytest.raises(TypeError, match="reference"):
        CalibrateSettings()  # type: ignore[call-arg]


# The program


@pytest.mark.parametrize("kind", [GenerateSettings, AnimateSettings])
def test_every_setting_is_documented(kind: type) -> None:
    assert [name for name, field in described(kind).items() if not field.text] == []


def test_every_option_of_every_verb_has_the_help_of_a_setting() -> None:
    texts = {field.help for kind in every_setting() for field in described(kind).values()}
    assert "" not in texts
    lacking = [
        f"{verb} {option.opts[0]}"
        for verb, command in commands(typer.main.get_command(app))
        for option in command.params
        if option.opts[0].startswith("--") and option.name not in ("help", "version")
        if option.help not in texts
    ]
    assert lacking == []


def test_the_help_of_an_option_is_one_line_of_at_most_60_characters() -> None:
    options = {
        f"{verb} {option.name}": getattr(option, "help", None) or ""
        for verb, command in commands(typer.main.get_command(app))
        for option in command.params
    }
    assert len(options) > 300
    assert {name: text for name, text in options.items() if len(text) > 60} == {}


def test_each_help_text_stands_once_in_the_source() -> None:
    source = "\n".join(path.read_text() for path in sorted(SRC.rglob("*.py")))
    found = Counter(
        text
        for kind in every_setting()
        for text in {field.text for field in described(kind).values()}
        if len(text) >= 20
    )
    assert found
    first_lines = [text.splitlines()[0] for text in found]
    twice = [line for line in first_lines if source.count(f'"""{line}') > 1]
    assert twice == []


def every_setting() -> set[type]:
    """The classes of settings of all verbs, which `app` has imported."""
    mine = [
        module for name, module in sys.modules.items() if name.startswith(("echosyn.settings.", "echosyn.apps.cli."))
    ]
    kinds = {kind for module in mine for kind in vars(module).values() if inspect.isclass(kind) and is_dataclass(kind)}
    return {kind for kind in kinds if kind.__module__ != "echosyn.settings" and "legacy_flags" not in kind.__module__}
