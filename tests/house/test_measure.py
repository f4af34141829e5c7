"""The signatures of the house do not grow again."""

import pytest

from house import measure


@pytest.mark.parametrize(
    ("body", "handed_on"),
    [
        ("g(x)", 1),
        ("g(name=x)", 1),
        ("g({'x': x})", 1),
        ("g(x); h(x)", 1),
        ("g(x + 1)", 0),
        ("g(x.size)", 0),
        ("g(x); return x", 0),
        ("pass", 0),
    ],
)
def test_a_parameter_is_handed_on_if_nothing_else_is_done_with_it(body: str, handed_on: int) -> None:
    text = f"def f(self, x):\n    {body}\n"
    (found,) = measure.in_text(text)
    assert (found.parameters, found.handed_on) == (1, handed_on)


def test_all_kinds_of_parameters_are_counted() -> None:
    (found,) = measure.in_text("def f(self, a, /, b, *c, d, **e):\n    pass\n")
    assert found.parameters == 5


def test_few_functions_have_many_parameters() -> None:
    worst = measure.crowded(measure.functions())
    assert len(worst) <= 10, worst
    assert max(one.parameters for one in worst) <= 12, worst


def test_few_parameters_are_only_handed_on() -> None:
    assert measure.share(measure.functions()) < 0.35
