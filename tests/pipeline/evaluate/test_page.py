"""What the page says first: nothing about a filter that nobody ran."""

from typing import Any

import pytest

from echosyn.pipeline.evaluate import page

UNKNOWN = {"value": None}
AGREEMENT = {"r2": UNKNOWN, "mae": UNKNOWN, "pearson": UNKNOWN}


def numbers(privacy: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "privacy": privacy,
        "ef_adherence": AGREEMENT,
        "utility": {"train on real": AGREEMENT, "train on synthetic": AGREEMENT},
        "counts": {"real_held_out": 100, "real_train": 100},
    }


@pytest.mark.parametrize(
    ("privacy", "headline", "warned"),
    [
        (None, "Not to be shared without an audit", "Nothing says"),
        ({"filter": "none"}, "Not to be shared", "was not filtered"),
        ({"filter": "calibrated", "releasable": False}, "Not to be shared", ""),
        ({"filter": "calibrated", "releasable": True}, "Every still passed the calibrated privacy filter", ""),
    ],
)
def test_a_set_without_a_record_is_not_said_to_have_failed(privacy: Any, headline: str, warned: str) -> None:
    found = numbers(privacy)
    assert page.verdict(found)["headline"] == headline
    warnings = page.warnings(found)
    assert len(warnings) == bool(warned)
    assert all(warned in text for text in warnings)
