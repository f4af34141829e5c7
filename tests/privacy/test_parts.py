import pytest
import torch

from echosyn.privacy.matching import prepared
from echosyn.privacy.parts import parted, parted_of_each
from echosyn.privacy.positive_controls import half_inverted
from echosyn.privacy.registration import query, reference

NAMES = [f"p{i:02d}" for i in range(40)]


def film(seed: int, num: int = 12) -> torch.Tensor:
    """A smooth picture whose parts beat, in grey levels."""
    generator = torch.Generator().manual_seed(seed)
    still, beat = (
        torch.nn.functional.interpolate(torch.rand(1, 1, 9, 9, generator=generator), (28, 28), mode="bicubic")[0, 0]
        for _ in range(2)
    )
    return 40 + 150 * still + 30 * beat * torch.linspace(-1, 1, num)[:, None, None]


FILMS = [film(i) for i in range(40)]
ROWS = prepared(torch.cat([reference(x) for x in FILMS]))
CENTRE = ROWS.rows.mean(dim=0).view(2, 28, 28)


def halves_swapped(frames: torch.Tensor) -> torch.Tensor:
    return frames.roll(14, -1)


def quarters_swapped_one_inverted(frames: torch.Tensor) -> torch.Tensor:
    made = frames.roll((14, 14), (-2, -1))
    made[:, :14, :14] = 255 - made[:, :14, :14]
    return made


@pytest.mark.parametrize(
    "change", [half_inverted, halves_swapped, quarters_swapped_one_inverted, lambda x: 0.5 * x.flip(0) + 20]
)
def test_a_copy_with_its_quarters_elsewhere_or_inverted_is_found(change):
    queries = torch.cat([query(change(x), CENTRE) for x in FILMS])
    found = parted(queries, ROWS)
    assert found.index.tolist() == list(range(40))
    strangers = parted(torch.cat([query(film(100 + i), CENTRE) for i in range(40)]), ROWS)
    assert found.similarity.min() > strangers.similarity.max()


def test_a_copy_has_a_likeness_of_one_and_its_own_patient_can_be_left_out():
    queries = torch.cat([query(x, CENTRE) for x in FILMS[:3]])
    assert parted(queries, ROWS).similarity.tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    found = parted(queries, ROWS, query_groups=NAMES[:3], reference_groups=NAMES)
    assert (found.similarity < 0.95).all()
    assert all(i != int(k) for i, k in enumerate(found.index))


def test_every_patient_is_told_in_whatever_blocks(monkeypatch):
    items = [query(FILMS[0], CENTRE), torch.cat([query(FILMS[i], CENTRE) for i in (1, 2)]), torch.zeros(0, 4 * 28**2)]
    names, whole = parted_of_each(items, ROWS, NAMES)
    monkeypatch.setattr("echosyn.privacy.parts.REFERENCES_AT_ONCE", 7)
    again = parted_of_each(items, ROWS, NAMES)
    assert (names, again[0]) == (NAMES, NAMES)
    torch.testing.assert_close(whole, again[1])
    assert whole[0].argmax() == 0
    assert sorted(whole[1].topk(2).indices.tolist()) == [1, 2]
    assert (whole[2] == -1).all()
    best = parted(items[1], ROWS).similarity
    torch.testing.assert_close(whole[1].max(), best.max())


def test_what_all_have_in_common_and_what_is_blank_is_no_likeness():
    shared = query(CENTRE[:1] + torch.zeros(8, 1, 1), CENTRE)
    assert float(parted(shared, ROWS).similarity) < 0.5
    black = torch.cat([torch.zeros(12, 28, 27), FILMS[0][..., :1]], dim=-1)
    assert torch.isfinite(parted(query(black, CENTRE), ROWS).similarity).all()


def test_what_is_found_of_a_picture_does_not_depend_on_those_beside_it_to_the_last_bit():
    queries = torch.cat([query(film(200 + i), CENTRE) for i in range(9)])
    together = parted(queries, ROWS).similarity
    assert torch.equal(together, torch.cat([parted(one[None], ROWS).similarity for one in queries]))
