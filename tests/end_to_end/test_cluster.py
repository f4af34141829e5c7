"""The same bytes from this process, others, shards and a cluster of two nodes, whatever dies on the way."""

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from echosyn import weights
from echosyn.data import filelist, stills
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.train.encode import encode
from echosyn.settings.making import EncodeSettings

if importlib.util.find_spec("ray") is None:
    pytest.skip("needs echosyn[ray]", allow_module_level=True)

import cluster as clusters
from faults import kill_an_actor, kill_node
from waiting import until

pytestmark = pytest.mark.slow
NUM = 200
LONGEST_S = 900.0
TESTS = Path(__file__).parents[1]
POISONED = """
import sys
from pathlib import Path
from echosyn import weights
from echosyn.apps.ray.executor import Ray
from echosyn.pipeline.generate.generate import generate
from faults import PoisonedHeart
out, data, address, number, num = sys.argv[1:]
models = weights.find_all(weights.shipped(), ["vae", "lidm", "lvdm", "reid"], "a4c")
real = {"reference": Path(data) / "latents", "real": Path(data) / "real"}
marks = Path(out + "-marks")
marks.mkdir()
with Ray(address) as cluster:
    who = PoisonedHeart(cluster, int(number), marks)
    print(generate(Path(out), models=models, num=int(num), seed=0, num_frames=32, executor=who, **real)["lost"])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real videos and their latents."""
    folder = tmp_path_factory.mktemp("data")
    make_phantom(folder / "real", num=40, seed=9, num_frames=64)
    encode(folder / "real", folder / "latents", weights.find(weights.shipped(), "vae"), EncodeSettings(mean=True))
    return folder


def command(data: Path, out: Path, *more: object, num: int = NUM) -> list[str]:
    words = [sys.executable, "-m", "echosyn", "generate", out, "--num", num, "--frames", 32, "--quiet", "--json"]
    words += ["--reference", data / "latents", "--real", data / "real", *more]
    return [str(word) for word in words]


def done(data: Path, out: Path, *more: object, num: int = NUM) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(data, out, *more, num=num), capture_output=True, text=True, timeout=LONGEST_S)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by its name there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this process makes, with nothing in its way."""
    out = tmp_path_factory.mktemp("undisturbed") / "set"
    ended = done(data, out)
    assert ended.returncode == 0, ended.stderr
    assert len(filelist.read(out)) == NUM
    return out


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[clusters.Cluster]:
    with clusters.cluster(2) as cluster:
        yield cluster


@dataclass
class Running:
    """A `generate` on a cluster, in the background."""

    process: "subprocess.Popen[str]"
    out: Path
    seen: list[int] = field(default_factory=list)

    @classmethod
    def on(cls, cluster: clusters.Cluster, data: Path, out: Path, **how: object) -> "Running":
        words = command(data, out, "--ray", cluster.address)
        return cls(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), out)

    def videos(self) -> int:
        return len(list(self.out.with_name(f"{self.out.name}.partial").glob("Videos/*.avi")))

    def wait_for(self, videos: int) -> None:
        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()[1]
            return self.videos() >= videos

        until(there, patience_s=LONGEST_S)

    def end(self) -> None:
        out, error = self.process.communicate(timeout=LONGEST_S)
        assert self.process.returncode == 0, error
        assert json.loads(out)["videos"] == NUM


# Who does the work


@pytest.mark.parametrize("workers", [2])
def test_processes_give_the_same_bytes(data: Path, undisturbed: Path, tmp_path: Path, workers: int) -> None:
    ended = done(data, tmp_path / "set", "--workers", workers)
    assert ended.returncode == 0, ended.stderr
    assert digests(tmp_path / "set") == digests(undisturbed)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shards_give_the_same_bytes(data: Path, undisturbed: Path, tmp_path: Path, count: int) -> None:
    parts = [tmp_path / f"part-{k}" for k in range(1, count + 1)]
    for k, part in enumerate(parts, 1):
        ended = done(data, part, "--shard", f"{k}/{count}")
        assert ended.returncode == 0, ended.stderr
    words = [sys.executable, "-m", "echosyn", "merge", *map(str, reversed(parts)), str(tmp_path / "set"), "--quiet"]
    subprocess.run(words, check=True, capture_output=True, timeout=LONGEST_S)
    assert digests(tmp_path / "set") == digests(undisturbed)


def test_two_nodes_give_the_same_bytes(
    data: Path, undisturbed: Path, two_nodes: clusters.Cluster, tmp_path: Path
) -> None:
    running = Running.on(two_nodes, data, tmp_path / "set")
    running.end()
    assert digests(tmp_path / "set") == digests(undisturbed)


# What can go wrong


def test_an_actor_dies(data: Path, undisturbed: Path, two_nodes: clusters.Cluster, tmp_path: Path) -> None:
    running = Running.on(two_nodes, data, tmp_path / "set")
    for videos in (30, 90, 150):
        running.wait_for(videos)
        kill_an_actor(two_nodes)
    running.end()
    assert digests(tmp_path / "set") == digests(undisturbed)


def test_the_driver_dies_and_is_run_again(
    data: Path, undisturbed: Path, two_nodes: clusters.Cluster, tmp_path: Path
) -> None:
    running = Running.on(two_nodes, data, tmp_path / "set")
    running.wait_for(80)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    until(lambda: not two_nodes.actors(), patience_s=60)
    found = running.videos()
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.avi")}
    assert 80 <= found < NUM
    Running.on(two_nodes, data, tmp_path / "set").end()
    assert digests(tmp_path / "set") == digests(undisturbed)
    stayed = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "set" / "Videos").iterdir()}
    before = times.keys() & stayed.keys()
    assert len(before) > 60
    assert all(times[name] == stayed[name] for name in before), "what was finished was not made again"


def test_the_disk_is_full(data: Path, undisturbed: Path, two_nodes: clusters.Cluster, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in undisturbed.rglob("*.avi")) // 3
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        ended = done(data, disk / "set", "--ray", two_nodes.address)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        assert "the disk is full; free some space and run the same command again" in ended.stderr
        assert not (disk / "set").exists()
        found = len(list((disk / "set.partial" / "Videos").iterdir()))
        assert found > 10
        subprocess.run(["mount", "-o", "remount,size=1G", disk], check=True)
        ended = done(data, disk / "set", "--ray", two_nodes.address)
        assert ended.returncode == 0, ended.stderr
        assert digests(disk / "set") == digests(undisturbed)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_input_is_damaged(data: Path, undisturbed: Path, two_nodes: clusters.Cluster, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    victim = tmp_path / "data" / "real" / "Videos" / f"{filelist.read(data / 'real')[20].name}.avi"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 3])
    ended = done(tmp_path / "data", tmp_path / "set", "--ray", two_nodes.address)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert victim.name in ended.stderr
    assert not list(tmp_path.glob("set*"))
    victim.write_bytes(whole)
    ended = done(tmp_path / "data", tmp_path / "set", "--ray", two_nodes.address)
    assert ended.returncode == 0, ended.stderr
    assert digests(tmp_path / "set") == digests(undisturbed)


def test_one_heart_kills_every_worker(
    data: Path, undisturbed: Path, two_nodes: clusters.Cluster, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", POISONED, tmp_path / "set", data, two_nodes.address, 17, NUM]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(clusters.SOURCE), str(TESTS)])}
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=LONGEST_S, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[17]", "it is said"
    assert len(list((tmp_path / "set-marks").iterdir())) == 3, "it was tried three times, and not for ever"
    ours, theirs = digests(tmp_path / "set" / "Videos"), digests(undisturbed / "Videos")
    assert theirs.keys() - ours.keys() == {f"{stills.name(17)}.avi"}
    assert len(ours) == NUM
    assert all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())


def test_a_node_dies(data: Path, undisturbed: Path, tmp_path: Path) -> None:
    with clusters.cluster(2) as cluster:
        running = Running.on(cluster, data, tmp_path / "set")
        running.wait_for(60)
        kill_node(cluster)
        running.end()
    assert digests(tmp_path / "set") == digests(undisturbed)
