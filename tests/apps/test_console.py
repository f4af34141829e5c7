"""What people see of an import: numbers, what was assumed, and one table of what was left out."""

import json

import pytest

from echosyn.apps.cli.console import show_import

RESULT = {
    "videos": 2,
    "splits": {"TRAIN": 1, "VAL": 1, "TEST": 0},
    "folds": {"8": "VAL"},
    "skipped": {"truncated": 4},
    "notes": ["FPS in the source was wrong for 1 video(s): corrected"],
    "left_out": [
        {"what": "video", "why": "truncated", "count": 4, "examples": ["a", "b", "c"]},
        {"what": ".zip file", "why": "an archive or compressed: unpack it", "count": 1, "examples": ["x.zip"]},
        {"what": "tracing row", "why": "its video is not imported", "count": 12, "examples": []},
    ],
}


def test_nothing_that_was_left_out_is_kept_from_people(capsys: pytest.CaptureFixture[str]) -> None:
    show_import(RESULT, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "videos  2",
        "splits  TRAIN 1, VAL 1, TEST 0",
        "folds   8 VAL",
        "note  FPS in the source was wrong for 1 video(s): corrected",
        "left out  what         why",
        "       4  video        truncated (a, b, c, ...)",
        "       1  .zip file    an archive or compressed: unpack it (x.zip)",
        "      12  tracing row  its video is not imported",
    ]


def test_json_is_the_whole_result(capsys: pytest.CaptureFixture[str]) -> None:
    show_import(RESULT, as_json=True)
    assert json.loads(capsys.readouterr().out) == RESULT
