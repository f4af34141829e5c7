"""Which way of computing pays on this processor: the layers of the published networks, one thread, seconds of processor.

    python benchmarks/cpu_paths.py
    python benchmarks/sampling.py --clock cpu      # then the whole: published procedure over the same networks, with parts

Each row is a layer at its size in the decoder or the video network: plain, channels-last and, for convolutions, as Winograd's
(`echosyn.nn.winograd`); the least of several tries, so that work beside it disturbs little. Nothing in the package reads
the result: what is chosen depends on the sizes of a layer alone, so that a machine gives equal bytes on every day.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from echosyn.nn.winograd import WinogradConv2d

FRAMES = 2
CONVOLUTIONS = ((512, 14), (512, 28), (256, 56), (256, 112), (128, 112))
"""Channels and edge of the decoder's convolutions of 3x3."""
LINEARS = ((320, 2560, 4096), (640, 5120, 1024), (1280, 10240, 256), (320, 320, 4096), (1280, 1280, 256))
"""Inputs, outputs and rows of the video network's linear layers, 16 frames."""


def least(call: Callable[[], Tensor], tries: int) -> float:
    """Milliseconds of processor of the fastest call."""
    call()
    found = []
    for _ in range(tries):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return 1000 * min(found)


def convolution(channels: int, edge: int, tries: int) -> dict[str, object]:
    """A frame of a convolution in every way that there is."""
    layer, x = nn.Conv2d(channels, channels, 3, padding=1), torch.randn(FRAMES, channels, edge, edge)
    last, winograd = x.to(memory_format=torch.channels_last), WinogradConv2d(layer)
    plain_ms = least(lambda: layer(x), tries) / FRAMES
    winograd_ms = least(lambda: winograd(last), tries) / FRAMES
    layer.to(memory_format=torch.channels_last)
    last_ms = least(lambda: layer(last), tries) / FRAMES
    gflops = 2 * 9 * channels**2 * edge**2 / plain_ms / 1e6
    name = f"conv 3x3 {channels}, {edge}x{edge}"
    ways = {"plain_ms": plain_ms, "channels_last_ms": last_ms, "winograd_ms": winograd_ms}
    return {"layer": name, **ways, "gflops_plain": gflops, "gain": min(plain_ms, last_ms) / winograd_ms}


def linear(inputs: int, outputs: int, rows: int, tries: int) -> dict[str, object]:
    """A linear layer: its speed beside the convolutions' says whether the matrix library keeps up."""
    layer, x = nn.Linear(inputs, outputs), torch.randn(rows, inputs)
    plain_ms = least(lambda: layer(x), tries)
    gflops = 2 * inputs * outputs * rows / plain_ms / 1e6
    return {"layer": f"linear {inputs} to {outputs}, {rows} rows", "plain_ms": plain_ms, "gflops_plain": gflops}


def processor() -> str:
    """What the system calls it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


@torch.no_grad()
def measure(tries: int) -> dict[str, object]:
    """All rows, and where they were measured."""
    torch.set_num_threads(1)
    rows = [convolution(*size, tries) for size in CONVOLUTIONS] + [linear(*size, tries) for size in LINEARS]
    where = {"processor": processor(), "instructions": torch.backends.cpu.get_cpu_capability()}
    return where | {"torch": torch.__version__, "rows": rows}


def as_text(found: dict) -> str:
    """For people."""

    def cell(row: dict, name: str) -> str:
        return f"{row[name]:>15.1f}" if name in row else f"{'-':>15}"

    columns = ("plain_ms", "channels_last_ms", "winograd_ms", "gain", "gflops_plain")
    head = f"{found['processor']}, {found['instructions']}, torch {found['torch']}; one thread, seconds of processor"
    lines = [head, "", f"{'':<34}" + "".join(f"{name:>17}" for name in columns)]
    lines += [f"{row['layer']:<34}" + "".join(f"  {cell(row, name)}" for name in columns) for row in found["rows"]]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=7, help="of each layer; the fastest counts")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.tries)
    print(json.dumps(found) if args.json else as_text(found))


if __name__ == "__main__":
    main()
