"""Tensors from files, in memory whose place does not depend on the file.

Matrix libraries choose their kernel also by the address of what they multiply, and two kernels round differently. A file
that is mapped into memory puts a tensor wherever its header happened to end: the same numbers in another file would then
give other bytes. What is read here lies as if it had been computed.
"""

import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, contiguous_format

from echosyn.errors import DataError

ALIGNMENT = 64
"""Bytes; torch allocates every tensor at a multiple of it."""


def aligned(tensor: Tensor) -> Tensor:
    """The tensor itself if it begins at a multiple of `ALIGNMENT`, else a copy that does; only the CPU's are copied."""
    if tensor.device.type != "cpu" or tensor.data_ptr() % ALIGNMENT == 0:
        return tensor
    return tensor.clone(memory_format=contiguous_format)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, copied out of it: aligned, and the file may then be replaced.

    Raises:
        SafetensorError: it is damaged.
        OSError: it is not to be had.
    """
    return {name: tensor.clone(memory_format=contiguous_format) for name, tensor in load_file(path).items()}


def read_pt(path: Path) -> Tensor:
    """The one tensor of a ``.pt`` file, mapped where the file allows it; nothing in it is executed.

    Raises:
        DataError: there is no such file, it is damaged, or it holds something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise DataError(f"{path}: cannot be read safely as a tensor ({reason}); write it again") from error
    if not isinstance(content, Tensor) or not content.is_floating_point():
        raise DataError(f"{path}: holds a {type(content).__name__}, expected latents: one tensor of floats")
    return content.detach()
