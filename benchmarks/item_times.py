"""How long does each heart and each video of `generate` take? Prints JSON, for `benchmarks/simulation.py`.

    OMP_NUM_THREADS=1 python benchmarks/item_times.py > benchmarks/results/item_times.json

The models that ship, one worker of one thread, no filter. Seconds are those of the processor, so that whatever else runs on the
machine does not count. The first item of a kind is left out: it is slower than all others. Bytes are of the videos on disk.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echosyn import __version__, weights
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.generate.sample import BLOCK
from echosyn.pipeline.generate.tasks import Invent
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.executors import InProcess, Work, started
from echosyn.settings.making import GenerateSettings


@dataclass(frozen=True)
class Timed:
    """Works, in turn, that note how long they take."""

    works: Sequence[Work]
    log: list[float]
    device: str = "cpu"

    def start(self) -> Callable[[Any], Any]:
        """See `Work`."""
        function = started(self.works)

        def run(item: Any) -> Any:
            began = time.process_time()
            result = function(item)
            self.log.append(time.process_time() - began)
            return result

        return run


@dataclass
class Recorder:
    """An executor of one thread of this process that notes how long each item takes."""

    invent: list[float] = field(default_factory=list)
    """Of each block of hearts."""
    animate: list[float] = field(default_factory=list)
    """Of each video, with everything that is done to it."""

    def on_gpu(self, device: str) -> bool:
        """See `echosyn.pipeline.workers.executors.Executor`."""
        return False

    def map(self, works: Sequence[Work], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """See `echosyn.pipeline.workers.executors.Executor`."""
        log = self.invent if isinstance(works[0], Invent) else self.animate
        return InProcess(1).map([Timed(works, log)], items)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=25)
    parser.add_argument("--frames", type=int, default=192)
    chosen = parser.parse_args()
    models = weights.find_all(weights.shipped(), ["vae", "lidm", "lvdm"], "a4c")
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        asked = GenerateSettings(num=chosen.num, num_frames=chosen.frames)
        generate(out, models, asked, Compute("cpu", recorder))
        sizes = [path.stat().st_size for path in sorted((out / "Videos").iterdir())]
    invent = [seconds / BLOCK for seconds in recorder.invent[1:]]
    found = {"echosyn": __version__, **vars(chosen), "clock": "processor"}
    found |= {"invent_s_per_heart": invent, "animate_s": recorder.animate[1:], "bytes": sizes}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
