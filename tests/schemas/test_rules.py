import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from headrace.schemas.contract import Column, Contract, SqlRule
from headrace.schemas.errors import ContractError, DataError
from headrace.schemas.rules import (
    OK,
    Rule,
    compile_rules,
    count_reasons,
    evaluated,
    flag,
    good_mask,
    with_reasons,
)

NAN, INF = math.nan, math.inf

EVERY_KIND = Contract(
    name="every",
    columns=(
        Column(name="i", dtype=pl.Int64, required=True, minimum=0, exclusive_maximum=100, allowed=(1, 2, 50, 99, 100)),
        Column(name="f", dtype=pl.Float64, exclusive_minimum=-1, maximum=1),
        Column(name="w", dtype=pl.Float32, minimum=0, allow_non_finite=True),
        Column(
            name="s", dtype=pl.String, pattern="^[A-Z]", min_length=2, max_length=3, allowed=("AA", "BÄÖ", "C", "dd")
        ),
        Column(name="d", dtype=pl.Date, minimum="2013-01-01", allowed=(date(2013, 1, 1), date(2012, 1, 1))),
        Column(name="t", dtype=pl.Datetime("us", "UTC"), maximum=datetime(2013, 6, 1, tzinfo=UTC)),
        Column(name="b", dtype=pl.Boolean, allowed=(True,)),
    ),
    rules=(SqlRule(name="small_if_true", sql="i < 50 OR NOT b"), SqlRule(name="text", sql="length(s) > 1")),
)
NAMES = [
    "i:required", "i:range", "i:allowed", "f:finite", "f:range", "w:range", "s:allowed", "s:length", "s:pattern",
    "d:range", "d:allowed", "t:range", "b:allowed", "small_if_true", "text",
]  # fmt: skip
GOOD = {"i": 1, "f": 0.5, "w": 1.0, "s": "AA", "d": date(2013, 1, 1), "t": datetime(2013, 1, 1, tzinfo=UTC), "b": True}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([GOOD | row for row in rows], schema=EVERY_KIND.dtypes, orient="row")


def split(data: pl.DataFrame, rules: Sequence[Rule]) -> tuple[pl.DataFrame, pl.DataFrame]:
    flagged = flag(data.lazy(), rules).collect()
    bad = flagged.filter(~pl.col(OK)).drop(OK)
    return flagged.filter(OK).drop(OK), with_reasons(bad, bad.select(rule.expr for rule in rules))


def test_names_are_column_and_kind_in_the_contracts_order() -> None:
    rules = compile_rules(EVERY_KIND)
    assert [rule.name for rule in rules] == NAMES
    assert [rule.column for rule in rules[:4]] == ["i", "i", "i", "f"]
    assert rules[-1].column == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ({}, []),
        ({"f": None, "w": None, "s": None, "d": None, "t": None, "b": None}, []),
        ({"i": None}, ["i:required"]),
        ({"i": -1}, ["i:range", "i:allowed"]),
        ({"i": 100, "b": None}, ["i:range"]),
        ({"i": 99}, ["small_if_true"]),
        ({"i": 99, "b": None}, []),
        ({"i": 7}, ["i:allowed"]),
        ({"f": NAN}, ["f:finite"]),
        ({"f": INF}, ["f:finite", "f:range"]),
        ({"f": -1.0}, ["f:range"]),
        ({"f": 1.0}, []),
        ({"w": NAN}, []),
        ({"w": INF}, []),
        ({"w": -INF}, ["w:range"]),
        ({"s": "BÄÖ"}, []),
        ({"s": "dd"}, ["s:pattern"]),
        ({"s": "C"}, ["s:length", "text"]),
        ({"s": "AAAA"}, ["s:allowed", "s:length"]),
        ({"s": "X" * 10_000_000}, ["s:allowed", "s:length"]),
        ({"d": date(2012, 1, 1)}, ["d:range"]),
        ({"t": datetime(2014, 1, 1, tzinfo=UTC)}, ["t:range"]),
        ({"b": False}, ["b:allowed"]),
    ],
)
def test_each_kind_of_rule(row: dict[str, Any], reasons: list[str]) -> None:
    data = frame(row)
    good, bad = split(data, compile_rules(EVERY_KIND))
    assert good.height == (not reasons)
    assert bad.get_column("reasons").to_list() == ([reasons] if reasons else [])
    assert bad.schema == data.schema | {"reasons": pl.List(pl.String)}


def test_rules_are_never_null() -> None:
    data = frame({}, dict.fromkeys(GOOD))
    verdicts = data.select(rule.expr for rule in compile_rules(EVERY_KIND))
    assert verdicts.columns == NAMES
    assert verdicts.null_count().row(0) == (0,) * len(NAMES)
    assert verdicts.row(1) == (False, *[True] * (len(NAMES) - 1))


values = {
    "i": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 101),
    "f": st.none() | st.floats(),
    "w": st.none() | st.floats(width=32),
    "s": st.none() | st.text(max_size=4) | st.sampled_from(["AA", "C", "dd"]),
    "d": st.none() | st.dates(),
    "t": st.none() | st.datetimes(timezones=st.just(UTC)),
    "b": st.none() | st.booleans(),
}


def by_hand(row: dict[str, Any]) -> bool:
    """The contract once more, in plain Python."""
    i, f, w, s, d, t, b = (row[name] for name in "ifwsdtb")
    return (
        (i in (1, 2, 50, 99))
        and (f is None or -1 < f <= 1)
        and (w is None or math.isnan(w) or w >= 0)
        and (s is None or s in ("AA", "BÄÖ"))
        and (d is None or d == date(2013, 1, 1))
        and (t is None or t <= datetime(2013, 6, 1, tzinfo=UTC))
        and b is not False
        and (i < 50 or not b)
    )


@pytest.mark.slow
@given(st.lists(st.one_of(st.fixed_dictionaries(values), st.sampled_from([GOOD, GOOD | {"b": None}])), max_size=20))
@settings(deadline=None)
def test_good_and_bad_partition_the_rows(rows: list[dict[str, Any]]) -> None:
    data = frame(*rows).with_row_index("n")
    rules = compile_rules(EVERY_KIND)
    good, bad = split(data, rules)
    assert sorted([*good.get_column("n"), *bad.get_column("n")]) == list(range(len(rows)))
    assert good.get_column("n").to_list() == [number for number, row in enumerate(rows) if by_hand(row)]
    assert all(len(reasons) > 0 for reasons in bad.get_column("reasons"))
    assert good.schema == data.schema
    assert flag(data.lazy(), rules).collect().get_column(OK).null_count() == 0


def test_order_is_kept_and_reasons_are_counted() -> None:
    data = frame({"i": 7}, {}, {"i": -1}, {"f": 0.25})
    good, bad = split(data, compile_rules(EVERY_KIND))
    assert good.get_column("f").to_list() == [0.5, 0.25]
    assert bad.get_column("i").to_list() == [7, -1]
    assert count_reasons(bad) == {"i:allowed": 2, "i:range": 1}
    assert count_reasons(bad.clear()) == {}


def test_good_rows_among_the_bad_have_no_reasons() -> None:
    data = frame({}, {"i": -1}, {})
    data = with_reasons(data, data.select(rule.expr for rule in compile_rules(EVERY_KIND)))
    assert data.get_column("reasons").to_list() == [[], ["i:range", "i:allowed"], []]


def test_contract_without_rules_takes_every_row() -> None:
    contract = Contract(name="c", columns=(Column(name="a", dtype=pl.Int64),))
    data = pl.DataFrame({"a": [1, None]})
    good, bad = split(data, compile_rules(contract))
    assert_frame_equal(good, data)
    assert bad.schema == {"a": pl.Int64, "reasons": pl.List(pl.String)}
    assert data.with_columns(good_mask(()).alias(OK)).get_column(OK).to_list() == [True, True]


def test_primary_key_columns_are_required() -> None:
    contract = Contract(name="c", columns=(Column(name="a", dtype=pl.Int64),), primary_key=("a",))
    assert [rule.name for rule in compile_rules(contract)] == ["a:required"]


@pytest.mark.slow
def test_hundreds_of_rules_are_no_deeper_than_their_logarithm() -> None:
    columns = tuple(Column(name=f"c{n}", dtype=pl.Int64, required=True, minimum=0) for n in range(500))
    contract = Contract(name="wide", columns=columns)
    data = pl.DataFrame({column.name: [1, -1] for column in columns})
    good, bad = split(data, compile_rules(contract))
    assert (good.height, bad.height) == (1, 1)
    assert len(bad.item(0, "reasons")) == 500


def contract_with(sql: str) -> Contract:
    columns = {"a": pl.Int64, "s": pl.String, "Len": pl.Int64, "t": pl.Datetime("us")}
    return Contract(
        name="c",
        columns=tuple(Column(name=name, dtype=dtype) for name, dtype in columns.items()),
        rules=(SqlRule(name="r", sql=sql),),
    )


@pytest.mark.parametrize(
    "sql",
    ["a > 3 AND s LIKE 'x%'", '"Len" > 1', "s = 'Agg'", "a IN (1, 2)", "coalesce(a, 0) >= 0", "TRY_CAST(s AS INT) > 1"],
)
def test_sql_over_one_row(sql: str) -> None:
    assert [rule.name for rule in compile_rules(contract_with(sql))] == ["r"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("z > 3 AND y > 1", "no column y, z in 'z > 3 AND y > 1'"),
        ("a + 1", "'a + 1': got Int64, expected a Boolean"),
        ("a >", "'a >' is no valid SQL here: "),
        ("SELECT 1", "'SELECT 1' is no valid SQL here: "),
        ("a > (SELECT max(a) FROM c)", "is no valid SQL here: "),
        ("t > '2013-01-01'", "is no valid SQL here: "),
        ("a > 3; DROP TABLE c", "is no valid SQL here: "),
        ("a > avg(a)", "does not speak of one row's columns"),
        ("a > count(*)", "does not speak of one row's columns"),
        ("row_number() OVER (ORDER BY a) > 1", "does not speak of one row's columns"),
        ("lag(a) OVER (ORDER BY t) < a", "does not speak of one row's columns"),
        ("corr(a, a) > 0.5", "does not speak of one row's columns"),
        ("a > quantile_cont(a, 0.9)", "does not speak of one row's columns"),
        ("1 = 1", "does not speak of one row's columns"),
    ],
)
def test_sql_that_is_refused(sql: str, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        compile_rules(contract_with(sql))
    assert message in caught.value.message
    assert caught.value.where == "c, rule r"


def test_sql_that_fails_on_the_data() -> None:
    rules = compile_rules(contract_with("CAST(s AS INT) > 1"))
    data = pl.DataFrame({"a": [1], "s": ["x"], "Len": [1], "t": [None]}, schema=contract_with("a > 1").dtypes)
    with (
        pytest.raises(DataError, match="the contract's rules cannot be evaluated on these rows: ") as caught,
        evaluated(),
    ):
        flag(data.lazy(), rules).collect()
    assert "TRY_CAST" in caught.value.hint


def test_pattern_that_is_no_rust_regex() -> None:
    contract = Contract(name="c", columns=(Column(name="a", dtype=pl.String, pattern="(?=x)"),))
    with pytest.raises(ContractError) as caught:
        compile_rules(contract)
    assert caught.value.message == (
        "pattern '(?=x)': look-around, including look-ahead and look-behind, is not supported"
    )
    assert caught.value.where == "a"


def test_column_named_like_the_reasons() -> None:
    with pytest.raises(ContractError, match="a column may not be named 'reasons'"):
        compile_rules(Contract(name="c", columns=(Column(name="reasons", dtype=pl.String),)))


def test_every_kind_of_rule_translates_for_the_gpu() -> None:
    translate = pytest.importorskip("cudf_polars.dsl.translate")
    contract = EVERY_KIND.model_copy(
        update={
            "columns": (
                *EVERY_KIND.columns,
                Column(name="u", dtype=pl.UInt8, allowed=(1, 2)),
                Column(name="m", dtype=pl.Datetime("ms"), minimum="2013-01-01", allowed=("2013-01-01",)),
                Column(name="n", dtype=pl.Datetime("us", "America/New_York"), minimum="2013-01-01"),
                Column(name="q", dtype=pl.Decimal(10, 2), minimum="1.5", allowed=("1.5",)),
                Column(name="x", dtype=pl.Float32, allowed=(0.5,)),
            ),
            "rules": (
                *EVERY_KIND.rules,
                SqlRule(name="either", sql="coalesce(f, 0) > w OR s IN ('a', 'b') OR i IS NULL"),
            ),
        }
    )
    data = pl.LazyFrame(schema=contract.dtypes)
    for rule in compile_rules(contract):
        assert errors_of(translate, data.select(rule.expr)) == [], rule.name
    assert errors_of(translate, flag(data, compile_rules(contract))) == []


def errors_of(translate: Any, query: pl.LazyFrame) -> list[Exception]:
    translator = translate.Translator(query._ldf.visit(), pl.GPUEngine(executor="in-memory"))
    translator.translate_ir()
    return list(translator.errors)
