import numpy as np
import pytest
import torch

from echosyn import rng
from echosyn.errors import ConfigError, ModelError
from echosyn.hashing import file_hash
from echosyn.nn import inception
from echosyn.pipeline.evaluate.fidelity.feature_spaces import KNOWN, Places, spaces
from echosyn.weights import registry

SHIPPED = sorted(set(KNOWN) - {"i3d", "inception-v3", "efficientnet-lite0", "lite0-trajectory", "lite0-debiased"})


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 112, 112), np.uint8)


@pytest.mark.parametrize("name", SHIPPED)
def test_rows_are_finite_and_repeatable_and_say_whose_weights(name, clip):
    space = spaces({name}, Places(device="cpu"))[name]
    rows = space.extract(clip, 16.0)
    assert rows.dtype == np.float32
    assert len(rows) == (16 if space.sees == "frames" else 1)
    assert np.isfinite(rows).all()
    assert (rows == space.extract(clip.copy(), 16.0)).all()
    assert len(space.sha256) == 64
    assert space.sha256 == spaces({name}, Places(device="cpu"))[name].sha256


def test_spaces_of_one_network_share_it_and_do_not_mix_up_clips(clip):
    found = spaces({"efficientnet-lite0", "lite0-trajectory"}, Places(device="cpu"))
    frames, trajectory = found["efficientnet-lite0"], found["lite0-trajectory"]
    other = np.ascontiguousarray(clip[:4, :64, :64])
    again = np.ascontiguousarray(other[::-1])
    first = [frames.extract(x, None) for x in (other, again)]
    assert first[0].shape == (4, 1280)
    assert (first[0] == first[1][::-1]).all()
    assert trajectory.extract(other, None).shape == (1, 384)
    assert frames.logits is not None
    assert frames.logits(first[0]).shape == (4, 1000)
    assert frames.sha256 == trajectory.sha256


def test_colour_and_grey_frames_are_both_seen(clip):
    colour = np.repeat(clip[:4, ..., None], 3, axis=-1)
    for name in ("radiomics", "echosyn-reid"):
        space = spaces({name}, Places(device="cpu"))[name]
        np.testing.assert_allclose(space.extract(colour, None), space.extract(clip[:4], None))


def test_fetched_weights_are_checked_against_the_published_hash(tmp_path):
    with pytest.raises(ModelError, match="give --weights FOLDER"):
        spaces({"inception-v3"}, Places())
    for name, space in (("metrics/inception", "inception-v3"), ("metrics/i3d", "i3d")):
        source = registry.sources()[name]
        path = tmp_path / source.folder / next(iter(source.files))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"something else")
        with pytest.raises(ModelError, match="its SHA-256 is"):
            spaces({space}, Places(fetched=tmp_path))


class Clips(torch.nn.Module):
    """Called as the published I3D is."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        assert rescale
        assert resize
        assert return_features
        return x.float().mean(dim=(3, 4)).flatten(1)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_networks_of_the_right_hash_are_used(tmp_path, clip, monkeypatch):
    sources = dict(registry.sources())
    with rng.initializing(0):
        network = inception.InceptionV3()
    for name in ("metrics/inception", "metrics/i3d"):
        path = tmp_path / "metrics" / next(iter(sources[name].files))
        path.parent.mkdir(exist_ok=True)
        if name == "metrics/i3d":
            torch.jit.script(Clips()).save(str(path))
        else:
            torch.save(network.state_dict(), path)
        sources[name] = sources[name].model_copy(update={"files": {path.name: file_hash(path)}})
    monkeypatch.setattr(registry, "sources", lambda: sources)
    found = spaces({"inception-v3", "i3d"}, Places(fetched=tmp_path, device="cpu"))
    assert found["i3d"].extract(clip, None) == pytest.approx(
        np.tile(clip.mean(axis=(1, 2), dtype=np.float64), 3)[None], rel=1e-5
    )
    rows = found["inception-v3"].extract(clip[:2, :48, :48], None)
    assert rows.shape == (2, 2048)
    assert found["inception-v3"].logits is not None
    assert found["inception-v3"].logits(rows).shape == (2, 1008)


def test_unknown_spaces_find_their_near_miss():
    with pytest.raises(ConfigError, match="did you mean 'radiomics'"):
        spaces({"radiomic"}, Places())
