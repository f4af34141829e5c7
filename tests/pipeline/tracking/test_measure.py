"""Videos that are measured by processes of their own."""

from echosyn.data import filelist
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.tracking.measure import FEWEST, measure_all
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import InProcess


def test_processes_measure_what_this_one_does_in_order(tmp_path):
    make_phantom(tmp_path / "real", num=2 * FEWEST, seed=3, view="both", num_frames=64)
    records = filelist.read(tmp_path / "real")[::-1]
    told = []
    compute = Compute("cpu", side_by_side=True, progress=lambda what, done, total: told.append((done, total)))
    assert measure_all(tmp_path / "real", records, compute) == measure_all(tmp_path / "real", records, HERE)
    assert told == [(done, len(records)) for done in range(1, len(records) + 1)]


def test_workers_that_are_given_do_it(tmp_path):
    class Given:
        asked = 0

        def on_gpu(self, device):
            return False

        def map(self, works, items):
            self.asked += 1
            return InProcess(1).map(works, items)

    make_phantom(tmp_path / "real", num=2 * FEWEST, seed=3, num_frames=64)
    given = Given()
    measure_all(tmp_path / "real", filelist.read(tmp_path / "real"), Compute("cpu", given, side_by_side=True))
    assert given.asked == 1
