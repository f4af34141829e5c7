"""A recipe holds all that a video depends on, and nothing else passes for one."""

import json
import shlex

import pytest

from echosyn import weights
from echosyn.errors import ConfigError, ModelError
from echosyn.pipeline.demo import replay
from echosyn.pipeline.demo.replay import Recipe

GIVEN = Recipe(variant="a4c", seed=3, ef=41.5, frames=64, steps=2, scheduler="heun")


def test_a_recipe_survives_its_file(tmp_path):
    path = tmp_path / "heart.json"
    path.write_text(GIVEN.model_dump_json())
    assert replay.read(path) == GIVEN


def test_what_was_measured_is_no_part_of_it(tmp_path):
    path = tmp_path / "heart.json"
    path.write_text(json.dumps(GIVEN.model_dump(mode="json") | {"measured_ef": 44.0, "deidentified": True}))
    assert replay.read(path) == GIVEN


def test_the_command_says_every_setting():
    words = shlex.split(GIVEN.command())
    assert words[:3] == ["echosyn", "generate", "heart"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options == {
        "--dataset": "a4c",
        "--num": "1",
        "--seed": "3",
        "--ef": "41.5",
        "--frames": "64",
        "--steps": "2",
        "--scheduler": "heun",
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not JSON"),
        ("[]", "not a recipe"),
        ('{"seed": 1}', "not a recipe"),
        (json.dumps(GIVEN.model_dump(mode="json") | {"frames": 10**9}), "frames"),
        (json.dumps(GIVEN.model_dump(mode="json") | {"seed": -1}), "seed"),
        (json.dumps(GIVEN.model_dump(mode="json") | {"out": "/etc"}), "unknown setting 'out'"),
        (json.dumps({"format": replay.FORMAT, "ef": 50, "frames": 64, "deidentified": False}), "an uploaded frame"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path, content, says):
    path = tmp_path / "heart.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says) as error:
        replay.read(path)
    assert len(str(error.value).splitlines()) == 1


def test_other_weights_are_refused_and_nothing_is_left(tmp_path):
    path = tmp_path / "heart.json"
    path.write_text(GIVEN.model_copy(update={"models": {"lvdm": "0" * 64}}).model_dump_json())
    with pytest.raises(ModelError, match="another lvdm"):
        replay.replay(path, tmp_path / "out", models=weights.shipped())
    assert not list(tmp_path.glob("out*"))
