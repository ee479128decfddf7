from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.catalog.arrow_types import arrow_type

TYPES = (
    pa.null(),
    pa.bool_(),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary(16)),
    *(pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.duration("us")),
    *(
        pa.timestamp("us"),
        pa.timestamp("ms", "UTC"),
        pa.timestamp("ns", "America/New_York"),
        pa.timestamp("s", "+01:30"),
    ),
    *(pa.decimal128(18, 2), pa.decimal256(50, -3)),
    *(
        pa.list_(pa.int64()),
        pa.large_list(pa.field("element", pa.float32(), nullable=False)),
        pa.list_(pa.float32(), 16),
    ),
    pa.list_(pa.field("item", pa.list_(pa.field("element", pa.int8(), nullable=False), 3))),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string(), ordered=True),
    pa.struct(
        [
            ("x", pa.int32()),
            pa.field("y", pa.list_(pa.decimal128(9, 1)), nullable=False),
            ("z", pa.timestamp("us", "UTC")),
        ]
    ),
    pa.struct([]),
    pa.list_(pa.struct([("at", pa.struct([("lat", pa.float64()), ("lon", pa.float64())]))])),
)


@pytest.mark.parametrize("known", TYPES, ids=str)
def test_every_type_comes_back_from_its_spelling(known: pa.DataType) -> None:
    assert arrow_type(str(known)) == known


@pytest.mark.parametrize("spelled", ["", "int", "list<int64>", "struct<a>", "list<item: whatever>", "int32 not null"])
def test_what_is_no_spelling_is_refused(spelled: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        arrow_type(spelled)
