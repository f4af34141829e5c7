"""Settings are layered, and a mistake in them names what was meant."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from echosyn import config
from echosyn.errors import ConfigError


class Inner(config.Settings):
    """Inside."""

    learning_rate: float = Field(1e-3, gt=0)
    steps: int = 200


class Outer(config.Settings):
    """Outside."""

    network: dict[str, Any] = Field(default_factory=dict)
    loop: Inner = Inner()
    fps: float = Field(32.0, gt=0)


names = st.sampled_from(["a", "b", "c"])
trees = st.recursive(st.integers(), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6)
mappings = st.dictionaries(names, trees, max_size=3)


def test_settings_are_frozen_and_keyword_only():
    with pytest.raises(ValidationError, match="frozen"):
        Inner().steps = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Inner(3)  # type: ignore[call-arg]


# Errors


def test_an_unknown_name_finds_its_near_miss_where_it_stands():
    with pytest.raises(
        ConfigError, match=r"^x: unknown setting 'loop.learning_rat'; did you mean 'loop.learning_rate'\?$"
    ):
        config.build(Outer, {"loop": {"learning_rat": 1}}, "x")
    with pytest.raises(ConfigError, match="unknown setting 'zzz'; expected one of fps, loop, network"):
        config.build(Outer, {"zzz": 1})


def test_all_problems_come_at_once():
    with pytest.raises(ConfigError) as error:
        config.build(Outer, {"fps": -1, "lop": 1, "loop": {"steps": "many", "learning_rate": 0}})
    message = str(error.value)
    assert message.startswith("settings: 4 problems: ")
    for part in ("fps = -1: ", "'lop'; did you mean 'loop'?", "loop.steps = 'many'", "loop.learning_rate = 0"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("override", ["loop.steps", "loop.steps=[1", "a=${nothing}"])
def test_a_broken_override_is_quoted(override: str) -> None:
    with pytest.raises(ConfigError) as error:
        config.merged({}, overrides=[override])
    assert str(error.value).startswith(f"--set {override}: ")
    assert "\n" not in str(error.value)


def test_an_unknown_preset_names_the_near_miss():
    assert "phantom" in config.presets()
    with pytest.raises(ConfigError, match="preset 'fantom' is unknown; did you mean 'phantom'"):
        config.read_preset("fantom")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such settings file"),
        (b"- 1\n- 2\n", "expected a mapping"),
        (b"a: [1\n", "not a readable settings file"),
        (b"a: ${nothing}\n", "not a readable settings file"),
        (b"\xff\xfe\x00", "not a readable settings file"),
    ],
)
def test_a_settings_file_that_is_none_is_one_line(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as error:
        config.read_yaml(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


# Layers


@given(mappings)
def test_merging_with_nothing_or_itself_changes_nothing(tree: dict[str, Any]) -> None:
    assert (
        config.merged(tree) == config.merged(tree, {}) == config.merged({}, tree) == config.merged(tree, tree) == tree
    )


@given(mappings, mappings, mappings)
def test_layers_may_be_merged_in_any_grouping_when_they_agree_on_what_is_a_mapping(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]
) -> None:
    def kinds(tree: Any, path: str = "") -> dict[str, bool]:
        inner = [kinds(v, f"{path}.{k}") for k, v in tree.items()] if isinstance(tree, dict) else []
        return {path: isinstance(tree, dict)} | {k: v for each in inner for k, v in each.items()}

    known = [kinds(tree) for tree in (a, b, c)]
    if all(x.get(k, v) == v for x in known for y in known for k, v in y.items()):
        assert config.merged(a, config.merged(b, c)) == config.merged(config.merged(a, b), c) == config.merged(a, b, c)


@given(mappings, mappings)
def test_the_later_layer_wins_and_the_layers_stay_as_they_were(a: dict[str, Any], b: dict[str, Any]) -> None:
    before = repr((a, b))
    result = config.merged(a, b)
    assert repr((a, b)) == before
    for name, value in b.items():
        if not isinstance(value, dict):
            assert result[name] == value


def test_another_class_replaces_a_network_and_the_same_one_changes_it():
    preset = {"network": {"_class_name": "A", "width": 3, "depth": 2}}
    assert config.merged(preset, {"network": {"_class_name": "B"}})["network"] == {"_class_name": "B"}
    same = {"_class_name": "A", "width": 9, "depth": 2}
    assert config.merged(preset, {"network": {"_class_name": "A", "width": 9}})["network"] == same
    assert config.merged(preset, {"network": {"width": 9}})["network"] == same


def test_overrides_are_yaml_and_the_last_word():
    overrides = ["a.b=1e-3", "a.c=[1, 2]", "a.d=null", "a.e=true", "a.f=x=y", "g=10..90"]
    result = config.merged({"a": {"b": 1, "z": 0}}, overrides=overrides)
    assert result == {"a": {"b": 1e-3, "c": [1, 2], "d": None, "e": True, "f": "x=y", "z": 0}, "g": "10..90"}


def test_interpolations_are_resolved(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("globals: {fps: 32}\nclips: {fps: '${globals.fps}', also: ['${globals.fps}']}\n")
    assert config.read_yaml(path)["clips"] == {"fps": 32, "also": [32]}


def test_json_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"loop": {"steps": 3}}')
    assert config.build(Outer, config.read_yaml(tmp_path / "x.json")).loop.steps == 3
