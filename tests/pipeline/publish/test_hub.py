"""Pushing to a hub of this machine: private, whole, taken up again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.publish import hub as hubs
from echosyn.pipeline.publish.audit_gate import WITHOUT
from echosyn.pipeline.publish.publish import publish
from echosyn.settings.sharing import PublishSettings

REPO = "hospital/hearts"


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_release_arrives_whole_and_private(release: Path, hub: Any) -> None:
    assert hubs.push(release, REPO, pause_s=0) == f"{hub.url}/datasets/{REPO}"
    assert hub.files == everything(release)
    assert hub.private is True
    assert hub.asked[0] == "/api/validate-yaml", "the card is asked for before a byte moves"
    assert not (release / ".cache").exists()


@pytest.mark.parametrize("where", ["/lfs/", "/api/datasets/hospital/hearts/commit", "/api/repos", "/datasets/"])
def test_a_dropped_connection_is_survived(where: str, release: Path, hub: Any) -> None:
    hub.drop = [where, where]
    hubs.push(release, REPO, pause_s=0)
    assert hub.drop == []
    assert hub.files == everything(release)


def test_what_has_arrived_is_not_sent_again(release: Path, hub: Any) -> None:
    hub.full = True
    with pytest.raises(DataError, match="the hub refuses"):
        hubs.push(release, REPO, pause_s=0)
    assert sum(path.startswith("/lfs/") for path in hub.asked) == 18
    hub.full = False
    hub.asked.clear()
    hubs.push(release, REPO, pause_s=0)
    assert not any(path.startswith("/lfs/") for path in hub.asked)
    assert hub.files == everything(release)


def test_a_hub_that_never_answers_is_one_line(release: Path, hub: Any) -> None:
    hub.drop = ["/api/validate-yaml"] * 50
    with pytest.raises(DataError, match=r"upload failed .* run the same command again to continue") as error:
        hubs.push(release, REPO, pause_s=0)
    assert "\n" not in str(error.value)


def test_a_public_repository_gets_nothing_unless_asked(release: Path, hub: Any) -> None:
    hub.private = False
    with pytest.raises(DataError, match="exists and is public; say --public"):
        hubs.push(release, REPO, pause_s=0)
    assert hub.files == {}
    hubs.push(release, REPO, public=True, pause_s=0)
    assert hub.files


def test_a_card_that_the_hub_refuses_stops_everything(release: Path, hub: Any) -> None:
    hub.refused_card = "license is wrong"
    with pytest.raises(DataError, match="the hub refuses it"):
        hubs.push(release, REPO, pause_s=0)
    assert hub.asked == ["/api/validate-yaml"]


@pytest.mark.parametrize("repo", ["hearts", "a/b/c", "hospital/he arts", ""])
def test_a_wrong_name_is_refused_before_anything_is_written(repo: str, synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--push"):
        publish(
            synthetic,
            tmp_path / "out",
            replace(PublishSettings(licence="mit", without_audit=WITHOUT), push=repo or " "),
        )
    assert not (tmp_path / "out").exists()


def test_publishing_again_pushes_the_release_that_is_there(synthetic: Path, hub: Any, tmp_path: Path) -> None:
    words = PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT)
    publish(synthetic, tmp_path / "out", words)
    before = everything(tmp_path / "out")
    with pytest.raises(DataError, match="exists already"):
        publish(synthetic, tmp_path / "out", words)
    result = publish(synthetic, tmp_path / "out", replace(words, push=REPO))
    assert result["pushed to"] == f"{hub.url}/datasets/{REPO}"
    assert hub.files == before
    path = tmp_path / "out" / "FileList.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    hub.files.clear()
    with pytest.raises(DataError, match="differs from the release as published"):
        publish(synthetic, tmp_path / "out", replace(words, push=REPO))
    assert hub.files == {}, "what is pushed is what was sealed"
