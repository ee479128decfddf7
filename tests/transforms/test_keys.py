from __future__ import annotations

import struct

import polars as pl
import xxhash

from headrace.engines.cpu import CpuEngine
from headrace.transforms.keys import combined, hash64


def test_no_two_combinations_share_a_text() -> None:
    frame = pl.DataFrame({"a": ["1:", "1", "", "x"], "b": ["x", ":x", "1:x", None]})
    texts = frame.select(combined(("a", "b"), frame.schema)).to_series()
    assert texts[3] is None
    assert texts.n_unique() == 4


def test_the_text_does_not_depend_on_the_width_of_integers() -> None:
    narrow = pl.DataFrame({"a": [-3], "b": [True]}, schema={"a": pl.Int8, "b": pl.Boolean})
    wide = narrow.cast({"a": pl.Int64})
    assert (
        narrow.select(combined(("a", "b"), narrow.schema)).item()
        == wide.select(combined(("a", "b"), wide.schema)).item()
    )


def test_one_column_hashes_as_it_is_and_several_in_order() -> None:
    frame = pl.DataFrame({"a": ["x", "x", None], "b": [1, None, None]})
    engine = CpuEngine()
    one = hash64(frame.lazy(), ("a",), frame.schema, "h", engine).collect()["h"].to_list()
    x, first = xxhash.xxh64_intdigest(b"x"), xxhash.xxh64_intdigest(struct.pack("<q", 1))
    assert one == [x, x, 0]
    both = hash64(frame.lazy(), ("a", "b"), frame.schema, "h", engine).collect()
    assert both.columns == ["a", "b", "h"]
    pairs = [(x, first), (x, 0), (0, 0)]
    assert both["h"].to_list() == [xxhash.xxh64_intdigest(struct.pack("<QQ", *p)) for p in pairs]
