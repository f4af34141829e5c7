import io
import sys

import numpy as np
import pytest
from PIL import Image

from echosyn.metrics.plots import power_curves, scatter, similarity_histogram


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_scatter_is_a_png_on_white_and_repeats_exactly():
    requested = np.random.default_rng(0).uniform(10, 80, 50)
    png = scatter(requested, requested + 3, "EF $ a_b")
    image = pixels(png)
    assert (image[0, 0] == 255).all()
    assert image.std() > 5
    assert png == scatter(requested, requested + 3, "EF $ a_b")


def test_histogram_is_a_png_with_both_groups():
    rng = np.random.default_rng(0)
    both = pixels(similarity_histogram(rng.normal(0.7, 0.1, 500), rng.normal(0.7, 0.1, 50), 0.9))
    assert both.shape[0] > 400
    blue, orange = (
        (both[..., 2] > both[..., 0].astype(int) + 60).sum(),
        (both[..., 0] > both[..., 2].astype(int) + 60).sum(),
    )
    assert min(blue, orange) > 100


def test_every_disguise_has_a_panel_and_no_empty_one_stays():
    falling = [(8.0, 0.2, 0.1, 0.4), (2.0, 1.0, 0.8, 1.0)]
    three, four = (pixels(power_curves({f"shift {i}": falling for i in range(n)})) for n in (5, 8))
    assert three.shape == four.shape, "two rows of four"
    last = np.s_[three.shape[0] // 2 + 20 :, three.shape[1] - three.shape[1] // 5 :]
    assert (three[last] == 255).all()
    assert (four[last] != 255).any()


@pytest.mark.parametrize("values", [[], [0.5, float("nan")]])
def test_few_or_missing_values_still_plot(values):
    assert pixels(scatter(values, values)).size
    assert pixels(similarity_histogram(values, [], 0.9)).size


def test_pyplot_and_its_global_state_are_not_used():
    scatter([1.0, 2.0], [1.0, 2.0])
    source = sys.modules["echosyn.metrics.plots"].__dict__
    assert not any("pyplot" in str(value) for value in source.values() if not isinstance(value, dict))
