"""What blocks of videos say of the patients, added up, is what a table of all videos says, to the bit."""

from functools import reduce

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from echosyn import rng
from echosyn.privacy.attacks import singling_out
from echosyn.privacy.intervals import Risk, exact, risk
from echosyn.privacy.patient_matches import Exposure, Sides

THRESHOLD = 0.5


def plain_singling_out(table, is_train, seed) -> Risk:
    sides = [np.flatnonzero(is_train), np.flatnonzero(~is_train)]
    num = min(len(side) for side in sides)
    draws = rng.numpy_generator(seed, "singling out")
    rates = []
    for side in sides:
        chosen = np.sort(draws.choice(side, num, replace=False)) if num else side[:0]
        close = table[:, chosen] >= THRESHOLD
        hits = {int(np.flatnonzero(row)[0]) for row in close if row.sum() == 1}
        rates.append(exact(len(hits), num))
    return risk(*rates)


@st.composite
def audits(draw):
    """A table whose scores often tie, whose patients are in training or not, and some way to take it apart."""
    videos, patients = draw(st.integers(1, 12)), draw(st.integers(1, 7))
    values = st.sampled_from([-3.25, 0.1, 0.1 + 2**-55, THRESHOLD, np.nextafter(THRESHOLD, 0), 1.5, 1e9])
    table = np.array(draw(st.lists(values, min_size=videos * patients, max_size=videos * patients)))
    is_train = np.array(draw(st.lists(st.booleans(), min_size=patients, max_size=patients)))
    cuts = draw(st.lists(st.integers(0, videos), max_size=5))
    edges = sorted({0, videos, *cuts})
    order = draw(st.permutations(range(len(edges) - 1)))
    return table.reshape(videos, patients), is_train, edges, order


@given(audits(), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_blocks_in_any_order_say_what_the_whole_table_says(audit, seed):
    table, is_train, edges, order = audit
    sides = Sides.drawn(is_train, seed=seed)
    parts = [Exposure.of(table[edges[i] : edges[i + 1]], sides, THRESHOLD, first=edges[i]) for i in order]
    found = reduce(Exposure.joined, [Exposure.of(table[:0], sides, THRESHOLD), *parts])
    assert found.highest.tobytes() == table.max(axis=0).tobytes()
    assert found.nearest.tolist() == table.argmax(axis=0).tolist()
    assert found.close.tolist() == (table >= THRESHOLD).sum(axis=0).tolist()
    assert singling_out(found, sides) == plain_singling_out(table, is_train, seed)


def test_joining_is_the_same_from_either_side():
    is_train = np.arange(4) < 2
    sides = Sides.drawn(is_train)
    a, b = (Exposure.of(np.ones((2, 4)), sides, THRESHOLD, first=first) for first in (0, 2))
    assert a.joined(b).nearest.tolist() == b.joined(a).nearest.tolist() == [0, 0, 0, 0]
    assert a.joined(b).num_videos == 4


def test_the_larger_side_is_thinned_to_the_smaller_one():
    is_train = np.arange(50) < 40
    sides = Sides.drawn(is_train, seed=1)
    assert sides.held_out == tuple(range(40, 50))
    assert len(sides.train) == 10
    assert set(sides.train) <= set(range(40))
    assert list(sides.train) == sorted(sides.train)
    assert sides != Sides.drawn(is_train, seed=2)
    assert Sides.drawn(is_train[:40]) == Sides((), ())


def test_no_video_says_nothing():
    sides = Sides.drawn(np.arange(6) < 3)
    nothing = Exposure.of(np.zeros((0, 6)), sides, THRESHOLD)
    assert singling_out(nothing, sides).main.successes == 0
