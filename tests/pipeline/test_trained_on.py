"""A test on what a model was trained on is refused, whichever way the model says it."""

import json
from pathlib import Path

import pytest

from echosyn.data.records import Record
from echosyn.errors import DataError, ModelError
from echosyn.pipeline import trained_on

TRAINED = [Record("a1", extra={"PatientId": "a"}), Record("Bé", extra={"PatientId": "b"}), Record("c")]
STRANGERS = [Record("d"), Record("e1", extra={"PatientId": "e"})]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_strangers_are_no_reason_to_refuse(model: Path) -> None:
    trained_on.write(model, TRAINED, "data")
    assert trained_on.refuse_seen([model, model.parent], STRANGERS) == []


@pytest.mark.parametrize(
    "seen",
    [
        Record("c"),
        Record("a1"),  # the same video in a list without patients
        Record("a2", extra={"PatientId": "a"}),  # another video of the same patient
        Record("be\u0301", extra={"PatientId": "other"}),  # as macOS writes it, in another case
    ],
)
def test_a_seen_video_or_patient_is_refused_in_one_line(model: Path, seen: Record) -> None:
    trained_on.write(model, TRAINED, "data")
    for given in (model, model.parent):
        with pytest.raises(DataError) as error:
            trained_on.refuse_seen([given], [*STRANGERS, seen])
        said = str(error.value)
        assert said.startswith(
            f"{given}: was trained on 1 of the 3 test videos or on their patients, first {seen.name}; "
        )
        assert "\n" not in said


def test_a_model_folder_tells_no_names_and_equal_trainings_say_the_same(model: Path) -> None:
    trained_on.write(model, TRAINED, "data")
    text = (model / trained_on.TRAINED_ON).read_text()
    said = json.loads(text)
    assert all(len(h) == 32 for h in said["videos"] + said["patients"])
    assert said["videos"] == sorted(said["videos"])
    assert (len(said["videos"]), len(said["patients"])) == (3, 3)
    trained_on.write(model, TRAINED[::-1], "data")
    assert (model / trained_on.TRAINED_ON).read_text() == text
    trained_on.write(model, TRAINED, "other data")
    assert not set(json.loads((model / trained_on.TRAINED_ON).read_text())["videos"]) & set(said["videos"])


def test_without_hashes_the_run_beside_the_model_is_asked(model: Path) -> None:
    (model.parent / "run.json").write_text(json.dumps({"videos": ["a1", "c"], "patients": ["a", "c"]}))
    for seen in (Record("a1"), Record("a2", extra={"PatientId": "a"})):
        with pytest.raises(DataError, match="was trained on 1 of the 3"):
            trained_on.refuse_seen([model], [*STRANGERS, seen])
    (model.parent / "run.json").write_text(json.dumps({"videos": ["a1", "c"]}))
    with pytest.raises(DataError, match="first c;"):
        trained_on.refuse_seen([model], [*STRANGERS, Record("c")])


def test_a_model_that_does_not_say_is_handed_back(model: Path) -> None:
    assert trained_on.seen(model) is None
    assert trained_on.refuse_seen([model], TRAINED) == [model]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"key": "k", "videos": 3, "patients": []}'])
def test_a_damaged_file_is_no_permission(model: Path, content: str) -> None:
    (model / trained_on.TRAINED_ON).write_text(content)
    with pytest.raises(ModelError, match=r"trained_on\.json: does not list the training videos"):
        trained_on.refuse_seen([model], STRANGERS)


def test_a_patient_on_both_sides_is_refused() -> None:
    held_out = [Record("a2", split="TEST", extra={"PatientId": "a"}), Record("d", split="VAL")]
    trained_on.refuse_both_sides(Path("data"), [*TRAINED, held_out[1]])
    with pytest.raises(DataError, match=r"data: 1 patient\(s\) are in TRAIN and in VAL or TEST, first a;"):
        trained_on.refuse_both_sides(Path("data"), [*TRAINED, *held_out])
