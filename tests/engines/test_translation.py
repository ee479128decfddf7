from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from headrace.engines import translation
from headrace.engines.cpu import CpuEngine
from headrace.engines.kernels.asof import JoinAsof
from headrace.engines.kernels.elements import Elements
from headrace.engines.kernels.lists import Lists, Reduce
from headrace.engines.kernels.lookup import Lookup
from headrace.engines.kernels.ngrams import Ngrams, Runs
from headrace.engines.kernels.rolling import Output, Rolling
from headrace.engines.kernels.xxhash64 import hash64
from headrace.engines.translation import KERNELS, TranslationEngine, available, require, untranslatable
from headrace.schemas.errors import CapabilityError

FRAME = pl.LazyFrame({"x": ["a", None], "n": [1, 2], "t": [datetime(2020, 1, 1)] * 2, "l": [[1], None]})
needs_cudf_polars = pytest.mark.skipif(not available(), reason="needs cudf-polars")


@needs_cudf_polars
def test_says_what_cannot_be_translated() -> None:
    assert untranslatable(FRAME.with_columns(pl.col("n") + 1)) == []
    assert untranslatable(FRAME.with_columns(pl.col("x").cast(pl.Categorical))) != []
    assert untranslatable(FRAME.with_columns(pl.col("n").map_elements(abs, return_dtype=pl.Int64))) != []


def queries(engine: TranslationEngine | CpuEngine) -> dict[str, pl.LazyFrame]:
    table = FRAME.select("x", "t", v=pl.col("n"))
    return {
        "lookup": engine.kernel(FRAME, Lookup("x", pl.DataFrame({"value": ["a"]}), "id", first=3, missing=2, null=1)),
        "hash64": hash64(engine, FRAME, "x", pl.String(), "h"),
        "join_asof": engine.kernel(FRAME, JoinAsof(table=table, by=("x",), left_on="t", right_on="t")),
        "rolling": engine.kernel(
            FRAME, Rolling(by=("x",), on="t", known_at=None, length=timedelta(1), outputs=(Output("s", "n", "sum"),))
        ),
        "lists": engine.kernel(FRAME, Lists("l", Reduce("sum"), "total")),
        "ngrams": engine.kernel(FRAME, Ngrams("x", Runs("word", 1, 9), "ids")),
        "elements": engine.kernel(
            FRAME, Elements("l", ("l", "h"), lambda rows, _: rows.with_columns(h=pl.col("l") / 2))
        ),
    }


@needs_cudf_polars
def test_kernels_are_noted_and_looked_past() -> None:
    engine = TranslationEngine()
    assert {name: untranslatable(query) for name, query in queries(engine).items()} == {name: [] for name in KERNELS}
    assert tuple(engine.kernels) == KERNELS


def test_stand_ins_have_the_schemas_of_the_kernels() -> None:
    stand_ins, bodies = queries(TranslationEngine()), queries(CpuEngine())
    for name in KERNELS:
        assert stand_ins[name].collect_schema() == bodies[name].collect_schema(), name


@needs_cudf_polars
def test_integers_hash_without_a_kernel() -> None:
    engine = TranslationEngine()
    for dtype in (pl.Int64(), pl.UInt64(), pl.Boolean(), pl.Date()):
        frame = pl.LazyFrame(schema={"k": dtype})
        assert untranslatable(hash64(engine, frame, "k", dtype, "h")) == []
    assert engine.kernels == []


@needs_cudf_polars
def test_the_query_over_elements_is_looked_into() -> None:
    engine = TranslationEngine()
    values = pl.DataFrame({"value": [1]})
    found = engine.kernel(FRAME, Elements("l", ("id",), lambda rows, on: on.kernel(rows, Lookup("l", values, "id"))))
    assert untranslatable(found) == []
    assert engine.kernels == ["elements", "lookup"]
    lacking = engine.kernel(
        FRAME, Elements("l", ("l",), lambda rows, _: rows.with_columns(pl.col("l").cast(pl.Categorical)))
    )
    assert untranslatable(lacking) != []


def test_other_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation.util, "find_spec", lambda _: object())
    monkeypatch.setattr(translation, "_version", lambda: "99.1.0")
    assert not available()
    with pytest.raises(CapabilityError, match=r"cudf-polars 99\.1\.0 is installed"):
        require()


def test_a_missing_installation_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation.util, "find_spec", lambda _: None)
    assert not available()
    with pytest.raises(CapabilityError, match="not installed"):
        require()
