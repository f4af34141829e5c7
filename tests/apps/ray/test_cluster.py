"""Nodes of a Ray cluster die, join late, lack what is asked or are all gone; so does who ordered the work."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

if importlib.util.find_spec("ray") is None:
    pytest.skip("needs echosyn[ray]", allow_module_level=True)

import cluster as clusters
import working
from cluster import Cluster, cluster
from echosyn.apps.ray.executor import ClusterError, Ray
from echosyn.pipeline.workers.executors import Lost
from faults import kill_node
from waiting import until


@pytest.fixture
def two() -> Iterator[Cluster]:
    with cluster(2) as made:
        yield made


@pytest.mark.slow
def test_work_runs_on_both_nodes_and_goes_on_when_one_is_killed(two: Cluster) -> None:
    with Ray(two.address) as executor:
        done = executor.map([working.Here(0.3)], range(40))
        found = []
        while len({node for _, node in found}) < 2:
            found.append(next(done))
        kill_node(two)
        found += done
    assert sorted(item for item, _ in found) == list(range(40))
    assert not any(isinstance(result, Lost) for _, result in found)


@pytest.mark.slow
def test_a_node_that_joins_late_is_used() -> None:
    with cluster(1) as made, Ray(made.address) as executor:
        nodes = set()
        done = executor.map([working.Here(0.1)], range(100_000))
        made.start()
        while len(nodes) < 2:
            item, node = next(done)
            nodes.add(node)
            assert item < 3000, "five minutes"
        done.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_cluster_that_is_gone_is_one_line(two: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from echosyn.apps.ray import feeding

    monkeypatch.setattr(feeding, "PATIENCE_S", 3.0)
    with Ray(two.address) as executor:
        done = executor.map([working.Here(0.2)], range(100_000))
        next(done)
        two.nodes[0].kill()
        with pytest.raises(ClusterError, match="the head node is not reachable: run the same command again") as gone:
            list(done)
    assert "\n" not in str(gone.value)


DRIVER = """
import sys
import working
from echosyn.apps.ray.executor import Ray
with Ray(sys.argv[1]) as executor:
    for item, node in executor.map([working.Here(0.2)], range(100000)):
        print(item, flush=True)
"""


@pytest.mark.slow
def test_actors_end_when_who_ordered_the_work_is_killed(two: Cluster) -> None:
    path = os.pathsep.join([str(clusters.SOURCE), str(clusters.TESTS)])
    command = [sys.executable, "-c", DRIVER, two.address]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE) as driver:
        assert driver.stdout
        assert driver.stdout.readline().strip() == b"0"
        assert two.actors()
        driver.send_signal(signal.SIGKILL)
    until(lambda: not two.actors())


@pytest.mark.slow
def test_who_has_no_token_is_told_how_to_come_in(two: Cluster) -> None:
    command = [sys.executable, "-c", DRIVER, two.address]
    path = os.pathsep.join([str(clusters.SOURCE), str(clusters.TESTS)])
    stranger = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"PYTHONPATH": path}
    done = subprocess.run(
        command, env=stranger | {"RAY_AUTH_MODE": "disabled"}, capture_output=True, text=True, timeout=120
    )
    last = done.stderr.splitlines()[-1]
    assert last.endswith(
        "the cluster asks for a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH as on its nodes"
    )


@pytest.mark.slow
def test_what_the_cluster_lacks_is_said_at_once(two: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"the cluster has 0 GPUs, 1 asked for per worker"):
        Ray(two.address, gpus=1).__enter__()
    with pytest.raises(
        ClusterError, match=r"the cluster has 2 CPUs, 2 asked for per worker; a worker needs them on one node"
    ):
        Ray(two.address, cpus=2).__enter__()


@pytest.mark.slow
def test_a_cpu_and_a_gpu_work_at_the_same_time_and_one_cpu_is_enough_for_both_ends() -> None:
    works = [working.Timed(0.2), working.Timed(0.4, "cuda"), working.Timed(0.1)]
    with cluster(1, gpus=1) as made, Ray(made.address, gpus=1) as executor:
        found = [result for _, result in executor.map(works, [[] for _ in range(8)])]
    assert {len(result) for result in found} == {3}
    first, second, third = ({result[i][0] for result in found} for i in range(3))
    assert len(first) == len(second) == 1, "an actor each"
    assert first == third != second
    on_gpu = [result[1] for result in found]
    assert any(a < done and begun < b for _, begun, done in on_gpu for result in found for _, a, b in result[::2])
