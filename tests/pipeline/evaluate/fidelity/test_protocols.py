import pytest

from echosyn.config import build
from echosyn.errors import ConfigError
from echosyn.pipeline import quickstart
from echosyn.pipeline.evaluate.fidelity import feature_spaces, fidelity, protocols
from echosyn.pipeline.evaluate.fidelity.protocols import Protocol


@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_of_the_package_is_whole(name):
    protocol = protocols.load(name)
    assert protocol.id == name
    assert {m.space for m in protocol.measures} <= feature_spaces.KNOWN.keys()
    assert {m.sampling for m in protocol.measures} == set(protocol.samplings)


def test_published_protocols_never_change():
    """A change of a protocol is a new protocol: results that carry its name must stay comparable."""
    assert {name: protocols.load(name).sha256[:8] for name in protocols.names()} == HASHES


HASHES = {
    "echonet-synthetic-v1": "a2376f2a",
    "echosyn-quick-v1": "44843060",
    "echosyn-quick-v2": "b3f4494c",
    "echosyn-quick-v3": "10846fa7",
    "echosyn-v1": "dc4a0101",
    "echosyn-v2": "cd9f9c04",
    "echosyn-v3": "eef66683",
}


def test_backgrounds_are_black_by_default_and_raw_where_a_protocol_was_published_so():
    assert {name: protocols.load(name).background for name in HASHES} == {
        name: "zeroed" if name.endswith(("v2", "v3")) else "raw" for name in HASHES
    }
    assert protocols.load(fidelity.DEFAULT).background == protocols.load(quickstart.PROTOCOL).background == "zeroed"


@pytest.mark.parametrize("name", ["FID", "KID", "IS", "Inception score", "FVD16", "FVD128"])
def test_published_names_need_the_published_weights(name):
    measure = {"space": "radiomics", "sampling": "x", "numbers": {"frechet": name}}
    with pytest.raises(ConfigError, match=f"the name {name} belongs to the features"):
        build(Protocol, {"id": "x", "about": "", "samplings": {"x": {}}, "measures": [measure]})


def test_the_hash_is_of_the_settings_not_of_the_words():
    values = {"id": "x", "about": "a", "samplings": {"x": {}}, "measures": []}
    protocol = build(Protocol, values)
    assert build(Protocol, values | {"about": "b", "quirks": ["c"]}).sha256 == protocol.sha256
    assert build(Protocol, values | {"neighbours": 5}).sha256 != protocol.sha256
    assert build(Protocol, values | {"neighbours": 3}).sha256 == protocol.sha256


def test_bad_protocols_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'echosyn-v3'"):
        protocols.load("echosyn-v4")
    own = tmp_path / "own.yaml"
    own.write_text("id: own\nabout: x\nsamplings: {}\nmeasures: [{space: motion, sampling: y, numbers: {}}]\n")
    with pytest.raises(ConfigError, match="'y' is not in this protocol"):
        protocols.load(str(own))
