"""What large archives cost besides the networks: file lists, hashes, folders, the private vectors. Prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/archive_size.py > benchmarks/results/archive_size.json

Seconds are those of the processor, on files that were just written: a disk that is slower than that adds its own. Memory of a
list is what a new process grows by while it reads it, at most and after.
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil
import torch

from echosyn import __version__, hashing, weights
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.pipeline.audit.screen_videos import compared
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.models import codec, embed
from echosyn.pipeline.privacy_filter.real_videos import digest_of, frames_of
from echosyn.pipeline.workers.executors import InProcess
from echosyn.privacy import stored
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.closeness import Fusion
from echosyn.privacy.fingerprints import VECTORS, Vectors, VideoPrints, Views
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.patient_matches import Sides
from echosyn.privacy.screen import Calibration, Screen, video_screen
from echosyn.privacy.video_digests import DigestFile, VideoDigest

CPU = torch.device("cpu")
OF_A_REFERENCE = {"reid": (24, 128), "pixels": (24, 784), "motion": (40, 1568)}
"""Vectors of a real video of six seconds, and their dimensions, by space."""
OF_A_QUERY = {"reid": (8, 128), "pixels": (72, 784), "motion": (4, 1568)}
"""Of a video that is matched."""
REGISTERED = {"registered": (1, 3136)}
"""The same of the picture that is registered before it is compared, where a real archive is calibrated on."""


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and the result."""
    began = time.process_time()
    result = function()
    return time.process_time() - began, result


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns that runs in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def most_bytes() -> int:
    """The most memory that this process has had (Linux; `getrusage` counts what its parent had, too)."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def listed(rows: int, folder: Path) -> dict[str, float]:
    """Write a file list."""
    records = [
        Record(f"synthetic_{i:07d}", 55.0, None, None, 112, 112, 32.0, 192, "TRAIN", {"View": "A4C"})
        for i in range(rows)
    ]
    seconds, _ = timed(lambda: filelist.write(folder, records))
    return {"rows": rows, "write_s": seconds, "bytes": (folder / filelist.FILE_LIST).stat().st_size}


def read(rows: int, folder: Path) -> dict[str, float]:
    """Read it."""
    ours = psutil.Process()
    before = ours.memory_info().rss
    seconds, found = timed(lambda: filelist.read(folder))
    assert len(found) == rows
    peak = most_bytes()
    return {"read_s": seconds, "peak_bytes": peak - before, "kept_bytes": ours.memory_info().rss - before}


def indexed(count: int, folder: Path) -> dict[str, float]:
    """A folder of so many videos, which are not opened."""
    videos = folder / filelist.VIDEOS
    videos.mkdir(parents=True)
    for i in range(count):
        (videos / f"synthetic_{i:07d}.avi").touch()
    seconds, index = timed(lambda: filelist.VideoIndex(folder))
    assert len(index.files) == count
    return {"files": count, "index_s": seconds}


def archive(videos: int, folder: Path) -> dict[str, float]:
    """Videos on disk, and what the privacy checks keep of each."""
    make_phantom(folder, num=videos, seed=0, num_frames=192, fps=32.0)
    files = sorted((folder / filelist.VIDEOS).iterdir())
    size = sum(path.stat().st_size for path in files)
    hashing.folder_hash(folder)  # from here on they are in memory
    hashed, _ = timed(lambda: hashing.folder_hash(folder))
    probed, _ = timed(lambda: [video.size(path) for path in files])
    models = weights.find_all(weights.shipped(), ["vae", "reid"], "a4c")
    encoder, reid = codec(models["vae"], CPU), weights.load(models["reid"], "reid")
    seen, digests = timed(lambda: [digest_of(frames_of(path), encoder) for path in files])
    prints = VideoPrints(lambda frames: embed(reid, frames), digests[0].thumbnails.mean(dim=0))
    vectors = [prints.of_reference(digest) for digest in digests]
    return {
        "videos": videos,
        "bytes_per_video": size / videos,
        "hash_bytes_per_s": size / hashed,
        "merge_check_s_per_video": probed / videos,
        "read_s_per_video": seen / videos,
        "look_bytes_per_video": sum(_bytes(x.thumbnails) + _bytes(x.latents) for x in digests) / videos,
        **{f"{name}_vectors_per_video": sum(len(v[name]) for v in vectors) / videos for name in vectors[0]},
        **{f"{name}_dimensions": vectors[0][name].shape[1] for name in vectors[0]},
        "gallery_bytes_per_video": sum(_bytes(t) for v in vectors for t in v.values()) / videos,
    }


def gallery(patients: int, of_each: Mapping[str, tuple[int, int]], seed: int = 0) -> Gallery:
    """Noise in the place of real vectors; ``of_each`` says how many a patient and of how many numbers, by space."""
    owners = {name: [f"{i // n:07d}" for i in range(patients * n)] for name, (n, _) in of_each.items()}
    return Gallery.joined(vectors(patients, of_each, seed), owners)


def vectors(patients: int, of_each: Mapping[str, tuple[int, int]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Noise."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(patients * n, d, generator=generator) for name, (n, d) in of_each.items()}


def items(num: int, of_each: Mapping[str, tuple[int, int]]) -> list[Views]:
    """As many videos, each as it is matched."""
    return [item(seed, of_each) for seed in range(1, num + 1)]


def item(seed: int, of_each: Mapping[str, tuple[int, int]]) -> Views:
    """One of them."""
    return vectors(1, of_each, seed)


def screen_of(references: Gallery) -> Screen[Sequence[Views]]:
    """A screen that keeps everything."""
    fusion = Fusion([0.0] * len(references.references), [1.0] * len(references.references))
    never = Threshold(
        value=100.0,
        low=100.0,
        high=100.0,
        requested_rate=0.05,
        claimed_rate=0.05,
        rate_low=0.0,
        rate_high=1.0,
        num_patients=1,
        num_frames=1,
        enough=True,
    )
    return Screen(references, fusion, never, torch.zeros(1), ["nobody"], VECTORS)


def judged(patients: int) -> dict[str, float]:
    """The check of finished videos, one at a time as `generate` does on a CPU."""
    screen = screen_of(gallery(patients, OF_A_REFERENCE))
    videos = items(4, OF_A_QUERY)
    screen.judge(videos[:1])
    seconds, _ = timed(lambda: [screen.judge([one]) for one in videos[1:]])
    return {"patients": patients, "s_per_video": seconds / 3}


def by_patient(patients: int) -> dict[str, float]:
    """Each video against each patient, as the audit does."""
    screen = screen_of(gallery(patients, OF_A_REFERENCE))
    videos = items(16, OF_A_QUERY)
    screen.by_patient(videos[:1])
    seconds, _ = timed(lambda: screen.by_patient(videos))
    return {"patients": patients, "s_per_video": seconds / len(videos)}


def audited(videos: int, patients: int) -> dict[str, float]:
    """What the comparison of the audit needs beyond the vectors; one of a patient and space, which changes nothing."""
    screen = screen_of(gallery(patients, {name: (1, d) for name, (_, d) in OF_A_REFERENCE.items()}))
    is_train = np.arange(patients) < patients // 2
    prints = SimpleNamespace(of_queries=lambda seeds: [item(s, OF_A_QUERY) for s in seeds], centre=torch.zeros(1))
    screen.by_patient([item(0, OF_A_QUERY)])
    before = most_bytes()
    with tempfile.TemporaryDirectory() as name:
        digests = cast("Sequence[VideoDigest]", range(videos))
        compared(screen.through(cast("Any", prints)), digests, Sides.drawn(is_train), InProcess(1), Path(name))
    grown = most_bytes() - before
    return {"videos": videos, "patients": patients, "bytes": grown, "bytes_per_pair": grown / videos / patients}


def calibrated(videos: int, held_out: int, folder: Path) -> dict[str, float]:
    """Noise for a real archive, kept, calibrated on and written for workers by this process alone; and its own memory."""
    began = own_bytes()
    file = DigestFile(folder / "looks", videos)
    draw = torch.Generator().manual_seed(0)
    for i in range(videos):
        file.put(
            i, VideoDigest(torch.rand(48, 28, 28, generator=draw) * 255, torch.randn(24, 4, 14, 14, generator=draw))
        )
    patients, is_train = [f"{i:07d}" for i in range(videos)], [i >= held_out for i in range(videos)]
    mixing = torch.randn(784, 128, generator=draw)
    how = Calibration(folder=folder)
    seconds, found = timed(lambda: video_screen(file.digests, patients, is_train, lambda x: x.flatten(1) @ mixing, how))
    stored.write(folder / "screen", found)
    ours = most_own_bytes() - began
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    digests = sizes.pop("looks")
    disk = {"looks_bytes_per_video": digests / videos, "vectors_bytes_per_video": sum(sizes.values()) / videos}
    return {"videos": videos, "held_out": held_out, "calibrate_s": seconds, "own_bytes": ours, **disk}


def decided(folder: Path) -> dict[str, float]:
    """A worker's own memory when it has compared a few finished videos with that archive."""
    began = own_bytes()
    screen = stored.read(folder / "screen", Vectors)
    for one in items(3, OF_A_QUERY | REGISTERED):
        screen.judge([one])
    mapped = int(Path("/proc/self/status").read_text().partition("RssFile:")[2].split()[0]) * 1024
    return {"worker_own_bytes": own_bytes() - began, "worker_mapped_bytes": mapped}


def own_bytes() -> int:
    """Memory of this process that is not a file's (Linux)."""
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) * 1024


_most = [0]


def most_own_bytes() -> int:
    """The most that a thread has seen of `own_bytes` so far."""
    return max(_most[0], own_bytes())


def watched(function: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """A function's result, with `own_bytes` looked at every 50 ms."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            _most[0] = max(_most[0], own_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return function(*arguments)
    finally:
        done.set()
        watcher.join()


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--patients", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--audited", type=int, nargs="*", default=[300, 1200, 3000])
    parser.add_argument("--archives", type=int, nargs="*", default=[1000, 3000, 10_000])
    parser.add_argument("--held-out", type=int, default=100)
    chosen = parser.parse_args()
    found: dict[str, Any] = {"echosyn": __version__, "clock": "processor", "lists": []}
    with tempfile.TemporaryDirectory() as name:
        for rows in chosen.rows:
            folder = Path(name) / str(rows)
            found["lists"].append(apart(listed, rows, folder) | apart(read, rows, folder))
        found |= {"folder": indexed(chosen.files, Path(name) / "many")}
        found |= {"archive": archive(chosen.videos, Path(name) / "archive")}
    found |= {"check": [judged(patients) for patients in chosen.patients]}
    found |= {"by_patient": [by_patient(patients) for patients in chosen.patients]}
    found |= {"audit": [apart(audited, videos, chosen.patients[-1]) for videos in chosen.audited]}
    found |= {"calibration": []}
    for videos in chosen.archives:
        with tempfile.TemporaryDirectory() as name:
            result = apart(watched, calibrated, videos, chosen.held_out, Path(name))
            found["calibration"].append(result | apart(decided, Path(name)))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
