from __future__ import annotations

import re

from headrace.catalog.manifest import Column, Histogram, Statistics
from headrace.catalog.pages.distributions import draw


def of_steps(values: int, first: int = 0, bins: int = 64) -> Statistics:
    """As many values a step of 0.25 apart, each of ten rows, from the step `first` on."""
    low, high = first / 4, (first + values - 1) / 4
    counts = [0] * bins
    for value in range(values):
        counts[min(bins * value // (values - 1), bins - 1)] += 10
    edges = tuple(low + (high - low) * place / bins for place in range(bins + 1))
    histogram = Histogram(edges=edges, counts=tuple(counts))
    return Statistics(count=10 * values, min=low, max=high, distinct=values, histogram=histogram)


def heights(statistics: dict[str, Statistics], splits: tuple[str, ...]) -> list[list[float]]:
    """How high each split's outline stands above its base line, by bin."""
    column = Column(name="day", role="feature", kind="numeric", dtype="Float32", statistics=statistics)
    drawn = re.findall(r'<path d="M0 68((?:V[\d.]+H[\d.]+)+)V68"', draw(column, splits) or "")
    return [[68 - float(up) for up in re.findall(r"V([\d.]+)", path)] for path in drawn]


def test_a_few_even_values_get_a_bin_each_and_are_no_comb() -> None:
    [line] = heights({"train": of_steps(31)}, ("train",))
    assert len(line) == 31
    assert set(line) == {64.0}


def test_a_split_that_goes_on_where_the_first_ends_has_the_same_steps() -> None:
    train, test = heights({"train": of_steps(9), "test": of_steps(2, first=9)}, ("train", "test"))
    assert len(train) == len(test) == 11
    assert train[9:] == [0, 0]
    assert test[:9] == [0] * 9


def test_uneven_values_are_not_moved_to_even_places() -> None:
    even = of_steps(31)
    assert even.histogram is not None
    counts = list(even.histogram.counts)
    counts[32], counts[33] = 0, counts[32]
    counts[34], counts[35] = 0, counts[34]
    uneven = even.histogram.model_copy(update={"counts": tuple(counts)})
    [line] = heights({"train": even.model_copy(update={"histogram": uneven})}, ("train",))
    assert len(line) == 64


def test_a_split_that_lacks_a_value_has_the_same_steps() -> None:
    train = of_steps(19)
    assert train.histogram is not None
    counts = tuple(0 if place == 64 * 5 // 18 else rows for place, rows in enumerate(train.histogram.counts))
    test = train.model_copy(update={"distinct": 18, "histogram": train.histogram.model_copy(update={"counts": counts})})
    lines = heights({"train": train, "test": test}, ("train", "test"))
    assert [len(line) for line in lines] == [19, 19]
    assert [place for place, height in enumerate(lines[1]) if not height] == [5]


def test_many_values_share_bins() -> None:
    [alone] = heights({"train": of_steps(300)}, ("train",))
    assert len(alone) == 64
    both = heights({"train": of_steps(300), "test": of_steps(200)}, ("train", "test"))
    assert [len(line) for line in both] == [48, 48]
