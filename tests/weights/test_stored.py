"""Model folders in every form that diffusers writes: each loads as the plain one does, or says in a line what is there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from echosyn import weights
from echosyn.errors import ModelError
from echosyn.hashing import file_hash
from echosyn.weights import stored

Build = Callable[..., Any]
Same = Callable[[nn.Module, nn.Module], bool]


@pytest.fixture
def plain(tmp_path: Path, build: Build) -> Path:
    weights.save(build("lidm"), tmp_path / "lidm", weights.Facts(stage="lidm"))
    return tmp_path / "lidm"


def taken(folder: Path) -> dict[str, Tensor]:
    """The weights of a folder, which then has none."""
    tensors = {name: value.clone() for name, value in load_file(folder / weights.WEIGHTS).items()}
    (folder / weights.WEIGHTS).unlink()
    return tensors


def in_shards(folder: Path, suffix: str = "safetensors", variant: str = "") -> list[Path]:
    """Write a folder's weights as diffusers writes large ones; the shards."""
    tensors, middle = taken(folder), f".{variant}" if variant else ""
    names = sorted(tensors)
    table, paths = {}, []
    for i in range(3):
        path = folder / f"{stored.STEM}{middle}-{i + 1:05d}-of-00003.{suffix}"
        part = {name: tensors[name] for name in names[i::3]}
        save_file(part, path) if suffix == "safetensors" else torch.save(part, path)
        table |= dict.fromkeys(part, path.name)
        paths.append(path)
    index = {"metadata": {"total_size": 1}, "weight_map": table}
    (folder / f"{stored.STEM}.{suffix}.index{middle}.json").write_text(json.dumps(index))
    return paths


FORMS: dict[str, Callable[[Path], object]] = {
    "pickle": lambda f: torch.save(taken(f), f / f"{stored.STEM}.bin"),
    "shards": in_shards,
    "shards of a variant": lambda f: in_shards(f, variant="fp16"),
    "pickled shards": lambda f: in_shards(f, "bin"),
    "variant": lambda f: (f / weights.WEIGHTS).rename(f / f"{stored.STEM}.non_ema.safetensors"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_loads_as_the_plain_one_and_has_a_hash(plain: Path, form: str, same_weights: Same) -> None:
    before = weights.load(plain, "lidm")
    plain_hash = weights.weights_hash(plain)
    FORMS[form](plain)
    assert same_weights(weights.load(plain, "lidm"), before)
    found = weights.weights_hash(plain)
    assert len(found) == 64
    assert (found == plain_hash) == (form == "variant"), "the hash is of the files, and a renamed file is the same"
    again = plain.with_name("copy")
    shutil.copytree(plain, again)
    assert weights.weights_hash(again) == found


def test_the_hash_of_one_file_is_the_hash_of_the_file(plain: Path) -> None:
    assert weights.weights_hash(plain) == file_hash(plain / weights.WEIGHTS)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_half_precision_becomes_float32(plain: Path, suffix: str) -> None:
    half = {name: value.half() for name, value in taken(plain).items()}
    path = plain / f"{stored.STEM}.fp16.{suffix}"
    save_file(half, path) if suffix == "safetensors" else torch.save(half, path)
    loaded = weights.load(plain, "lidm").state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert all(torch.equal(loaded[name], value.float()) for name, value in half.items())
    assert weights.weights_hash(plain) == file_hash(path)


def test_the_plain_file_goes_before_every_other(plain: Path, same_weights: Same) -> None:
    before, plain_hash = weights.load(plain, "lidm"), weights.weights_hash(plain)
    torch.save({}, plain / f"{stored.STEM}.bin")
    save_file({}, plain / f"{stored.STEM}.fp16.safetensors")
    (plain / f"{stored.STEM}.safetensors.index.json").write_text("{")
    assert same_weights(weights.load(plain, "lidm"), before)
    assert weights.weights_hash(plain) == plain_hash


def test_averaged_weights_of_a_diffusers_training_are_a_model_folder(
    tmp_path: Path, build: Build, same_weights: Same
) -> None:
    """As ``EMAModel.save_pretrained`` writes them: facts of the averaging are in ``config.json``."""
    network, folder = build("lidm"), tmp_path / "checkpoint-10" / "unet_ema"
    network.register_to_config(decay=0.9999, optimization_step=10, min_decay=0.0, use_ema_warmup=False)
    network.save_pretrained(folder, safe_serialization=False)
    assert [p.name for p in sorted(folder.iterdir())] == ["config.json", f"{stored.STEM}.bin"]
    assert same_weights(weights.load(folder, "lidm"), network)


def test_loading_draws_nothing_at_random(plain: Path) -> None:
    before = torch.get_rng_state()
    weights.load(plain, "lidm")
    assert torch.equal(torch.get_rng_state(), before)


# Refusals


def refused(folder: Path) -> str:
    """What loading says, and the hash where it is not of the content."""
    with pytest.raises(ModelError) as error:
        weights.load(folder, "lidm")
    assert "\n" not in str(error.value)
    return str(error.value)


class Touch:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(plain: Path) -> None:
    torch.save(taken(plain) | {"x": Touch(plain / "ran")}, plain / f"{stored.STEM}.bin")
    assert "cannot be read safely" in refused(plain)
    assert not (plain / "ran").exists()


@pytest.mark.parametrize("value", [5, "text", [torch.zeros(1)]], ids=["number", "text", "list"])
def test_a_pickle_may_hold_tensors_and_nothing_else(plain: Path, value: object) -> None:
    torch.save(taken(plain) | {"odd": value}, plain / f"{stored.STEM}.bin")
    assert f"'odd' is a {type(value).__name__}, expected tensors by name" in refused(plain)


def test_a_pickle_of_something_else_is_refused(plain: Path) -> None:
    taken(plain)
    torch.save([1, 2], plain / f"{stored.STEM}.bin")
    assert "holds a list, expected tensors by name" in refused(plain)
    (plain / f"{stored.STEM}.bin").write_bytes(b"no pickle")
    assert "cannot be read safely" in refused(plain)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_missing_shard_is_named(plain: Path, suffix: str) -> None:
    shards = in_shards(plain, suffix)
    shards[1].unlink()
    assert f"1 of 3 shards missing, first {shards[1].name}" in refused(plain)
    with pytest.raises(ModelError, match=f"first {shards[1].name}"):
        weights.weights_hash(plain)


def test_a_shard_without_its_tensors_is_named(plain: Path) -> None:
    shards = in_shards(plain)
    lost = sorted(load_file(shards[2]))[0]
    save_file({"other": torch.zeros(1)}, shards[2])
    assert f"names {lost!r}, which {shards[2].name} lacks" in refused(plain) or shards[2].name in refused(plain)


def test_a_damaged_shard_is_named(plain: Path) -> None:
    shards = in_shards(plain)
    shards[0].write_bytes(shards[0].read_bytes()[:100])
    assert shards[0].name in refused(plain)


def test_shards_without_an_index_or_with_an_odd_one(plain: Path, tmp_path: Path) -> None:
    shards = in_shards(plain)
    (index,) = plain.glob("*.index.json")
    for content in ("{", "[]", '{"weight_map": 3}'):
        index.write_text(content)
        assert "no readable index of shards" in refused(plain)
    index.write_text('{"weight_map": {}}')
    assert "names no shards" in refused(plain)
    for odd in ("../secret.safetensors", "/etc/passwd", "config.json"):
        index.write_text(json.dumps({"weight_map": {"a": odd}}))
        assert f"names {odd!r}, expected a file beside it" in refused(plain)
    index.unlink()
    assert f"has {shards[0].name} but no diffusion_pytorch_model.safetensors.index.json" in refused(plain)


def test_of_several_variants_none_is_guessed(plain: Path) -> None:
    tensors = taken(plain)
    for variant in ("fp16", "non_ema"):
        save_file(tensors, plain / f"{stored.STEM}.{variant}.safetensors")
    assert f"has 2 forms of its weights ({stored.STEM}.fp16.safetensors, {stored.STEM}.non_ema" in refused(plain)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "flax_model.msgpack"])
def test_other_weights_are_named(plain: Path, name: str) -> None:
    (plain / weights.WEIGHTS).rename(plain / name)
    assert f"has no {weights.WEIGHTS}; it has {name}; expected a diffusers model folder" in refused(plain)
    with pytest.raises(ModelError, match=f"it has {name}"):
        weights.weights_hash(plain)
