"""Where rows of a row group go in slabs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.catalog.loader.columns import Column, Contents, Entry
from headrace.catalog.loader.place import Place, places, targets
from headrace.catalog.loader.slab import Shape, Slab

INT16 = np.dtype("int16")


def slab_of(slots: int, width: int, steps: int) -> Slab:
    """Of an entry `a` and a matrix `m` of three columns."""
    columns = [Column(pa.field("a", pa.int16()), INT16, None, False, "a")]
    columns += [Column(pa.field(f"m{n}", pa.int16()), INT16, None, False, "m", n) for n in range(3)]
    shape = Shape(Contents((Entry("a", INT16), Entry("m", INT16, 3)), tuple(columns)), slots, width, steps)
    return Slab(shape, np.zeros(shape.bytes, np.uint8), 0)


def made(slab: Slab, slot: int, position: int, start: int, stop: int) -> list[tuple[int, ...]]:
    found = places(slab, slot, position, start, stop)
    return [(place.row, place.stretches, place.rows, place.start, place.stop) for place in found]


def test_a_slot_is_filled_step_by_step() -> None:
    slab = slab_of(4, 5, 8)  # step 1 begins with row 20, and slot 3 of it with row 35
    assert made(slab, 3, 7, 10, 30) == [(37, 1, 3, 10, 13), (55, 3, 5, 13, 28), (115, 1, 2, 28, 30)]
    assert made(slab, 0, 0, 0, 5) == [(0, 1, 5, 0, 5)]
    assert made(slab, 3, 6, 0, 2) == [(36, 1, 2, 0, 2)]
    assert made(slab, 3, 6, 2, 2) == []


def test_a_slot_alone_is_filled_at_once() -> None:
    assert made(slab_of(1, 5, 8), 0, 7, 10, 30) == [(7, 1, 20, 10, 30)]


def test_what_is_written_to_a_place_is_there() -> None:
    slab = slab_of(2, 3, 4)
    (place,) = places(slab, 1, 3, 0, 6)
    columns = slab.shape.contents.columns
    place.of(columns[0])[...] = np.arange(1, 7).reshape(2, 3)
    place.together(slab.shape.spot(columns[2]), 2, 2)[...] = [[[10], [20]], [[30], [40]]]
    one, matrix = slab.arrays()["a"], slab.arrays()["m"]
    assert one[:, 0].tolist() == [[0, 0, 0]] * 4
    assert one[:, 1].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6], [0, 0, 0]]
    assert matrix[1, 1].tolist() == [[0, 10, 30]] * 3
    assert matrix[2, 1].tolist() == [[0, 20, 40]] * 3
    assert not matrix[[0, 3]].any()
    assert not matrix[:, 0].any()


def test_the_stretches_of_places_as_what_is_read() -> None:
    slab = slab_of(2, 3, 4)
    found = [Place(slab, 1, 5, 1, 1, 6, 0), Place(slab, 1, 9, 2, 3, 6, 1)]
    cut = [(target.first, target.last, target.place) for target in targets(100, found)]
    assert cut == [(100, 101, 5), (101, 104, 9), (104, 107, 15)]
