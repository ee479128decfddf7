import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.schemas.dtypes import dtype_name, parse_dtype

PLAIN = [
    pl.Int8(), pl.Int64(), pl.UInt64(), pl.Float32(), pl.Float64(), pl.Boolean(), pl.String(), pl.Binary(), pl.Date(),
    pl.Time(), pl.Datetime("ms"), pl.Datetime("ns", "America/New_York"), pl.Duration("us"), pl.Decimal(18, 4),
]  # fmt: skip
dtypes = st.recursive(
    st.sampled_from(PLAIN),
    lambda inner: st.one_of(
        inner.map(pl.List),
        st.builds(pl.Array, inner, st.integers(1, 64)),
        st.dictionaries(st.sampled_from(["x", "long name", "z"]), inner, min_size=1).map(pl.Struct),
    ),
    max_leaves=4,
)


@given(dtypes)
def test_text_is_read_back(dtype: pl.DataType) -> None:
    assert parse_dtype(dtype_name(dtype)) == dtype


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int64", pl.Int64()),
        ("BIGINT", pl.Int64()),
        ("u8", pl.UInt8()),
        ("double precision", pl.Float64()),
        ("DOUBLE", pl.Float64()),
        ("float", pl.Float32()),
        ("VARCHAR(2)", pl.String()),
        ("varchar", pl.String()),
        ("Utf8", pl.String()),
        ("large_string", pl.String()),
        ("bool", pl.Boolean()),
        ("timestamp", pl.Datetime("us")),
        ("timestamptz", pl.Datetime("us", "UTC")),
        ("timestamp[ms]", pl.Datetime("ms")),
        ("timestamp[us, tz=UTC]", pl.Datetime("us", "UTC")),
        ("Datetime[ns, Europe/Berlin]", pl.Datetime("ns", "Europe/Berlin")),
        ("NUMERIC(10, 2)", pl.Decimal(10, 2)),
        ("list<float>", pl.List(pl.Float32)),
        ("fixed_size_list[float, 8]", pl.Array(pl.Float32, 8)),
        ("Struct[a: Int8, b: List[Decimal(4, 2)]]", pl.Struct({"a": pl.Int8, "b": pl.List(pl.Decimal(4, 2))})),
        ("time64[ns]", pl.Time()),
    ],
)
def test_other_spellings(text: str, expected: pl.DataType) -> None:
    assert parse_dtype(text) == expected


@pytest.mark.parametrize("text", ["", "geography", "Int64[3]", "List[]", "List[foo]", "Datetime[h]", "Decimal(4)", "["])
def test_unknown_text_lists_what_is_known(text: str) -> None:
    with pytest.raises(ValueError, match="is no type known here; expected one of Int8, "):
        parse_dtype(text)
