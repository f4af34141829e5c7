"""Where a tensor lies in a file must not be seen in what is computed with it; every case here is unaligned on any machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from echosyn import weights
from echosyn.data import filelist, latents, stills
from echosyn.data.records import Record
from echosyn.hashing import file_hash
from echosyn.nn import efficientnet_lite
from echosyn.privacy import vectors
from echosyn.tensors import ALIGNMENT, aligned, read_tensors
from echosyn.training import catalog, checkpoint
from echosyn.training.loop import Training, fit
from echosyn.weights.pickles import read_checkpoint

SHIFTS = (0, 4, 20, 40, 60)
"""Bytes by which the tensors of a file are moved against a multiple of 64."""


def shifted(path: Path, shift: int) -> Path:
    """The same safetensors file with a longer header, so that its tensors begin ``shift`` bytes behind a multiple of 64."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].rstrip(b" ")
    longer = header.ljust(-(-(8 + len(header)) // ALIGNMENT) * ALIGNMENT + shift - 8)
    path.write_bytes(len(longer).to_bytes(8, "little") + longer + content[8 + size :])
    return path


def places(tensors: Any) -> set[int]:
    return {tensor.data_ptr() % ALIGNMENT for tensor in tensors if tensor.numel()}


def unaligned(tensor: Tensor) -> Tensor:
    """The same numbers four bytes behind a multiple of 64."""
    return torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_file_can_be_moved_in_memory_by_its_header(tmp_path: Path, shift: int) -> None:
    save_file({"a": torch.arange(1000.0)}, tmp_path / "a.safetensors")
    (moved,) = read_tensors(shifted(tmp_path / "a.safetensors", shift)).values()
    assert torch.equal(moved, torch.arange(1000.0))
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        mapped = file.get_tensor("a")
    assert mapped.data_ptr() % ALIGNMENT == shift, "safetensors no longer maps files: the tests below test nothing"


def test_an_aligned_tensor_is_itself_and_another_a_copy() -> None:
    whole = torch.arange(64.0)
    assert aligned(whole) is whole
    moved = aligned(unaligned(whole))
    assert places([moved]) == {0}
    assert torch.equal(moved, whole)


@pytest.mark.parametrize("shift", SHIFTS)
def test_what_is_read_from_a_file_is_aligned_and_outlives_it(tmp_path: Path, shift: int) -> None:
    given = {"odd": torch.rand(3), "one": torch.rand(1), "none": torch.empty(0, 4), "even": torch.rand(64, 5)}
    save_file(given, tmp_path / "a.safetensors")
    found = read_tensors(shifted(tmp_path / "a.safetensors", shift))
    (tmp_path / "a.safetensors").write_bytes(b"")
    assert places(found.values()) == {0}
    assert all(torch.equal(found[name], value) for name, value in given.items())


@pytest.mark.parametrize("stage", list(weights.STAGE_NETWORKS))
def test_networks_are_aligned_and_give_the_same_bytes_wherever_their_file_put_them(
    stage: str, build: Callable[..., Any], tmp_path: Path
) -> None:
    network = build(stage)
    tensors = list(network.state_dict().values())
    outputs = []
    for shift in SHIFTS:
        folder = tmp_path / f"moved by {shift}"
        weights.save(network, folder, weights.Facts(stage=stage))
        shifted(folder / weights.WEIGHTS, shift)
        loaded = weights.load(folder, stage)
        assert places([*loaded.parameters(), *loaded.buffers()]) == {0}
        assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), tensors, strict=True))
        outputs.append(layers(loaded))
    assert all(torch.equal(a, b) for other in outputs[1:] for a, b in zip(outputs[0], other, strict=True))


def layers(network: nn.Module) -> list[Tensor]:
    """What each linear layer and convolution of a network makes of the same input."""
    torch.manual_seed(0)
    found = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            found.append(layer(torch.randn(7, layer.in_features)))
        elif isinstance(layer, nn.Conv2d | nn.Conv3d):
            found.append(layer(torch.randn(2, layer.in_channels, *[9] * len(layer.kernel_size))))
    assert found
    return found


def test_checkpoints_of_others_are_aligned(tmp_path: Path) -> None:
    given = {"a": torch.rand(9, 9), "b": torch.rand(5)}
    torch.save({name: unaligned(value) for name, value in given.items()}, tmp_path / "a.pt")
    save_file(given, tmp_path / "a.safetensors")
    shifted(tmp_path / "a.safetensors", 12)
    for name in ("a.pt", "a.safetensors"):
        found = read_checkpoint(tmp_path / name)
        assert places(found.values()) == {0}
        assert torch.equal(found["a"], given["a"])


def test_perceptual_weights_are_aligned(tmp_path: Path) -> None:
    network = efficientnet_lite.EfficientNetLite0()
    save_file(network.state_dict(), tmp_path / "lite.safetensors")
    loaded = efficientnet_lite.load(shifted(tmp_path / "lite.safetensors", 40))
    assert places(loaded.parameters()) == {0}


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_state_of_an_optimizer_is_aligned_when_training_resumes(
    shift: int, tmp_path: Path, settings_of: Callable[..., Any], latents_folder: Path
) -> None:
    def begun() -> Training:
        settings = settings_of("reid", {"steps": 2, "batch_size": 2})
        return Training(catalog.create("reid", settings), settings.loop)

    run = begun()
    records = [r for r in filelist.read(latents_folder) if r.split == "TRAIN"]
    list(fit(run, run.stage.items(latents_folder, records)))
    folder = checkpoint.save(tmp_path, run)
    path = shifted(folder / checkpoint.STATE, shift)
    manifest = json.loads((folder / checkpoint.MANIFEST).read_text())
    (folder / checkpoint.MANIFEST).write_text(json.dumps(manifest | {checkpoint.STATE: file_hash(path)}))
    other = begun()
    assert checkpoint.restore(tmp_path, other) == folder
    for optimizer in other.optimizers.values():
        held = [v for entry in optimizer.state.values() for v in entry.values() if isinstance(v, Tensor)]
        assert held
        assert places(held) == {0}


@pytest.mark.parametrize("shift", SHIFTS)
def test_latents_and_stills_are_aligned(tmp_path: Path, shift: int) -> None:
    record, clip = Record("a"), torch.rand(9, 1, 3, 5)
    latents.write(tmp_path, record, clip)
    shifted(latents.path(tmp_path, record), shift)
    assert places([latents.read(tmp_path, record), latents.read(tmp_path, record, [1, 2])]) == {0}
    stills.write(tmp_path, [3, 4, 5], torch.rand(3, 1, 3, 5))
    (path,) = stills.shards(tmp_path)
    assert places(stills.read_shard(shifted(path, shift)).values()) == {0}


@pytest.mark.parametrize("names", [(), ("p", "patient of a longer name")], ids=["nobody's", "of patients"])
def test_a_file_of_vectors_begins_aligned_and_stays_mapped(tmp_path: Path, names: tuple[str, ...]) -> None:
    rows = torch.rand(5, 7)
    owners = [names[i % 2] for i in range(5)] if names else None
    vectors.write(tmp_path / "v.safetensors", rows, owners)
    with safe_open(tmp_path / "v.safetensors", framework="pt") as file:
        assert file.get_tensor("vectors").data_ptr() % ALIGNMENT == 0
    for part in (None, (1, 4)):
        known, _ = vectors.read(tmp_path / "v.safetensors", part)
        assert places([known.rows, known.norm]) == {0}
