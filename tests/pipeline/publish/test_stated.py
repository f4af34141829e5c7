"""Sets of other software: published on somebody's word, which stays visible, and on an audit; never a way round the chain."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from echosyn.data import checksum, lineage
from echosyn.errors import ConfigError, DataError, EchosynError
from echosyn.hashing import PROVENANCE
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.publish.audit_gate import WITHOUT
from echosyn.pipeline.publish.publish import publish
from echosyn.pipeline.publish.verify import verify
from echosyn.settings.sharing import PublishSettings

ASKED = PublishSettings(licence="cc-by-4.0", origin="PulseGAN 1.2", stated_by="Dr A. Example")


@pytest.fixture
def foreign(synthetic: Path) -> Path:
    (synthetic / PROVENANCE).unlink()
    return synthetic


def audit(dataset: Path, verdict: str = "pass", conclusions: object = ()) -> Path:
    path = dataset.parent / "audit.json"
    content = {"videos": checksum.videos_hash(dataset), "verdict": verdict, "public": {"conclusions": conclusions}}
    path.write_text(json.dumps(content))
    return path


def test_the_statement_is_on_the_card_in_the_record_and_in_the_check(foreign: Path, tmp_path: Path) -> None:
    publish(foreign, tmp_path / "release", replace(ASKED, audit=audit(foreign)))
    card = (tmp_path / "release" / "README.md").read_text()
    assert "Origin stated by Dr A. Example, not verified" in card
    assert "PulseGAN 1.2" in card
    record = json.loads((tmp_path / "release" / PROVENANCE).read_text())
    assert record["synthetic"]["stated"] == {"origin": "PulseGAN 1.2", "by": "Dr A. Example"}
    assert verify(tmp_path / "release")["made by"] == "PulseGAN 1.2 (stated by Dr A. Example, not verified)"


def test_a_statement_begins_no_chain(foreign: Path, tmp_path: Path) -> None:
    publish(foreign, tmp_path / "release", replace(ASKED, audit=audit(foreign)))
    assert lineage.steps(tmp_path / "release") is None
    with pytest.raises(DataError, match="may show patients"):
        publish(
            tmp_path / "release", tmp_path / "again", replace(ASKED, origin=None, stated_by=None, without_audit=WITHOUT)
        )


@pytest.mark.parametrize("command", ["import", "encode", "reproduce", "phantom"])
def test_a_record_is_not_talked_away(command: str, synthetic: Path, tmp_path: Path) -> None:
    (synthetic / PROVENANCE).write_text(json.dumps({"call": {"command": command, "settings": {}}}))
    refused(synthetic, tmp_path, replace(ASKED, audit=audit(synthetic)), "says where it is from")


def test_what_is_left_of_such_a_set_is_stated_too_and_begins_no_chain(foreign: Path, tmp_path: Path) -> None:
    """As `withdraw` leaves it."""
    thinned = left(foreign, tmp_path / "left", origin={})
    assert lineage.unrecorded(foreign)
    assert lineage.unrecorded(thinned)
    publish(thinned, tmp_path / "release", replace(ASKED, audit=audit(thinned)))
    assert lineage.steps(thinned) is None
    assert lineage.steps(tmp_path / "release") is None


def test_withdrawing_from_a_set_with_a_record_is_no_way_to_a_statement(synthetic: Path, tmp_path: Path) -> None:
    (synthetic / PROVENANCE).write_text(json.dumps({"call": {"command": "import", "settings": {}}}))
    thinned = left(synthetic, tmp_path / "left", origin={"call": {"command": "import"}})
    assert not lineage.unrecorded(thinned)
    refused(thinned, tmp_path, replace(ASKED, audit=audit(thinned)), "says where it is from")


def test_no_statement_without_an_audit_that_passed(foreign: Path, tmp_path: Path) -> None:
    refused(foreign, tmp_path, ASKED, "only with an audit")
    refused(foreign, tmp_path, replace(ASKED, without_audit=WITHOUT), "only with an audit")
    refused(foreign, tmp_path, replace(ASKED, audit=audit(foreign, "fail")), "failed their audit")
    undecided = audit(foreign, "fail", {"videos": "cannot say"})
    refused(foreign, tmp_path, replace(ASKED, audit=undecided), "could not say")
    passed = audit(foreign)
    video = next((foreign / "Videos").iterdir())
    shutil.copy(sorted((foreign / "Videos").iterdir())[1], video)
    refused(foreign, tmp_path, replace(ASKED, audit=passed), "audit of other videos")


@pytest.mark.parametrize("wrong", ["", "x", "two\nlines", "[link](http://a)", "<b>", "a" * 201, "**verified**"])
def test_a_statement_is_one_plain_line(wrong: str, foreign: Path, tmp_path: Path) -> None:
    for asked in (replace(ASKED, origin=wrong), replace(ASKED, stated_by=wrong), replace(ASKED, stated_by=None)):
        with pytest.raises(ConfigError, match="on one line"):
            publish(foreign, tmp_path / "release", replace(asked, audit=audit(foreign)))


def left(source: Path, out: Path, origin: dict[str, object]) -> Path:
    """A copy with the record that `withdraw` writes."""
    with new_folder(out, "withdraw", {"too_close": True}, {"synthetic": source}) as folder:
        shutil.copytree(source / "Videos", folder / "Videos")
        shutil.copy(source / "FileList.csv", folder)
        note(folder, origin=origin, withdrawn=0)
    return out


def refused(dataset: Path, tmp_path: Path, asked: PublishSettings, words: str) -> None:
    with pytest.raises(EchosynError, match=words) as error:
        publish(dataset, tmp_path / "release", asked)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("release*"))
