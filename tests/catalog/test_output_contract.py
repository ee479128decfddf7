from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from headrace.catalog.arrow_schema import ArrowField
from headrace.catalog.manifest import Manifest, Split
from headrace.catalog.output_contract import OUTPUT_CONTRACT, dump_output_contract, output_contract
from headrace.schemas.checks import FileProblem, check_file
from headrace.schemas.contract import Contract
from headrace.schemas.footers import read_footer
from headrace.schemas.odcs import load_contract, parse_contract
from headrace.schemas.rules import compile_rules, good_mask

Filled = Callable[..., tuple[Any, Manifest]]

EVERYTHING = pl.DataFrame(
    {
        "delay": [0.1, -1.25, None],
        "ratio": [0.1, math.inf, math.nan],
        "id": [2, 3, 2**40],
        "late": [0, 1, 0],
        "sunny": [True, False, True],
        "note": ["a", None, "ü<script>"],
        "day": [date(2013, 1, 1), None, date(2013, 1, 3)],
        "at": [datetime(2013, 1, 1, 5, 30, 0, 123456, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC), None],
        "history": [[1, 2], [], None],
        "vector": [[0.5, 1.0], [2.0, 3.0], [-1.0, 0.0]],
        "nothing": [None, None, None],
    },
    schema={
        "delay": pl.Float32,
        "ratio": pl.Float64,
        "id": pl.Int64,
        "late": pl.UInt8,
        "sunny": pl.Boolean,
        "note": pl.String,
        "day": pl.Date,
        "at": pl.Datetime("us", "America/New_York"),
        "history": pl.List(pl.Int32),
        "vector": pl.Array(pl.Float32, 2),
        "nothing": pl.Float64,
    },
)


def read_back(manifest: Manifest, folder: Path) -> Contract:
    data = dump_output_contract(manifest)
    assert data is not None
    path = folder / OUTPUT_CONTRACT
    path.write_bytes(data)
    return load_contract(path)


def bad_rows(contract: Contract, frame: pl.DataFrame) -> int:
    return frame.filter(~good_mask(compile_rules(contract))).height


def test_the_library_of_the_standard_reads_it_and_finds_every_column(filled: Filled) -> None:
    _, manifest = filled()
    data = dump_output_contract(manifest)
    assert data is not None
    document = OpenDataContractStandard.from_string(data.decode())
    assert (document.apiVersion, document.kind, document.id) == ("v3.1.0", "DataContract", "demo")
    [table] = document.schema_
    columns = {p.name: (p.logicalType, p.physicalType, p.required, p.logicalTypeOptions) for p in table.properties}
    assert columns == {
        "delay": ("number", "Float32", True, {"minimum": -1.25, "maximum": 8.5}),
        "carrier": ("integer", "Int32", True, {"minimum": 0, "maximum": 4}),
        "late": ("integer", "UInt8", True, {"minimum": 0, "maximum": 1}),
    }
    assert [(s.server, s.path, s.format) for s in document.servers] == [
        ("train", "train/*.parquet", "parquet"),
        ("test", "test/*.parquet", "parquet"),
    ]


def test_our_own_reader_reads_it_back(filled: Filled, tmp_path: Path) -> None:
    _, manifest = filled(frame=EVERYTHING)
    assert read_back(manifest, tmp_path) == output_contract(manifest)


@pytest.mark.slow
def test_the_dataset_keeps_its_own_contract(filled: Filled, tmp_path: Path) -> None:
    for frame in (EVERYTHING, pl.DataFrame({"x": [0.5]}), None):
        build, manifest = filled(**({} if frame is None else {"frame": pl.concat([frame] * 2)}))
        contract = read_back(manifest, tmp_path)
        for split in manifest.splits.values():
            for file in split.files:
                assert check_file(contract, read_footer(build.path / file.path)) == ()
                assert bad_rows(contract, pl.read_parquet(build.path / file.path)) == 0


def test_rows_that_break_it_are_found(filled: Filled, tmp_path: Path) -> None:
    build, manifest = filled()
    contract = read_back(manifest, tmp_path)
    good = pl.read_parquet(build.path / "train/part-00000.parquet")
    assert bad_rows(contract, good.with_columns(carrier=pl.lit(5, pl.Int32))) == 4
    assert bad_rows(contract, good.with_columns(carrier=pl.lit(-1, pl.Int32))) == 4
    assert bad_rows(contract, good.with_columns(delay=pl.lit(None, pl.Float32))) == 4
    assert bad_rows(contract, good.with_columns(delay=pl.lit(math.nan, pl.Float32))) == 4
    assert bad_rows(contract, good.with_columns(delay=pl.lit(8.6, pl.Float32))) == 4
    other = tmp_path / "other.parquet"
    good.with_columns(pl.col("late").cast(pl.Int64)).write_parquet(other)
    problem = check_file(contract, read_footer(other))
    assert isinstance(problem, FileProblem)
    assert [(f.kind, f.column) for f in problem.findings] == [("type", "late")]


def test_what_is_said_of_each_column(filled: Filled) -> None:
    _, manifest = filled(frame=EVERYTHING)
    contract = output_contract(manifest)
    assert contract is not None
    said = {c.name: (c.required, c.minimum, c.maximum, c.allow_non_finite, c.role) for c in contract.columns}
    assert said == {
        "delay": (False, -1.25, 0.10000000149011612, False, "feature"),
        "ratio": (True, None, None, True, "feature"),  # an infinity is above any maximum
        "id": (True, 2, 2**40, False, "feature"),
        "late": (True, 0, 1, False, "target"),
        "sunny": (True, None, None, False, "feature"),
        "note": (False, None, None, False, "feature"),
        "day": (False, "2013-01-01", "2013-01-03", False, "feature"),
        "at": (False, "2013-01-01T00:30:00.123456-05:00", "2013-12-31T19:00:00.000000-05:00", False, "feature"),
        "history": (False, None, None, False, "feature"),
        "vector": (True, None, None, False, "feature"),
        "nothing": (False, None, None, False, "feature"),
    }


def test_ids_are_explained(filled: Filled) -> None:
    _, manifest = filled()
    columns = tuple(
        c.model_copy(update={"oov_ids": (2, 3), "pad_id": 0, "source": "Categorify"}) if c.name == "carrier" else c
        for c in manifest.columns
    )
    contract = output_contract(manifest.model_copy(update={"columns": columns}))
    assert contract is not None
    assert contract.column("carrier").description == (
        "categorical, from Categorify; ids below 5; 0 stands for padding; 1 stands for null; "
        "2 to 3 stand for values that are not in the vocabulary"
    )


def test_without_statistics_nothing_is_promised_of_values(filled: Filled) -> None:
    _, manifest = filled()
    contract = output_contract(manifest.model_copy(update={"columns": ()}))
    assert contract is not None
    assert {(c.minimum, c.maximum, c.role) for c in contract.columns} == {(None, None, None)}
    assert contract.column("delay").allow_non_finite


def test_an_empty_split_takes_nothing_away(filled: Filled) -> None:
    _, manifest = filled()
    splits = dict(manifest.splits) | {"validation": Split(rule="none", rows=0)}
    with_empty = manifest.model_copy(update={"splits": splits})
    assert output_contract(with_empty) == output_contract(manifest)
    assert dump_output_contract(with_empty) == dump_output_contract(manifest)


def test_columns_that_no_contract_has_are_left_out(filled: Filled) -> None:
    _, manifest = filled()
    more = (
        *manifest.arrow_schema,
        ArrowField(name="^x$", type="int64", nullable=False),
        ArrowField(name="what", type="extension<what>", nullable=False),
        ArrowField(name="half", type="halffloat", nullable=False),
    )
    contract = output_contract(manifest.model_copy(update={"arrow_schema": more}))
    assert contract is not None
    assert (contract.names[:3], contract.extra) == (["delay", "carrier", "late"], "ignore")
    assert not {"^x$", "what"} & set(contract.names)
    nothing = manifest.model_copy(update={"arrow_schema": more[3:5]})
    assert dump_output_contract(nothing) is None


def test_odd_names_stay_what_they_are(filled: Filled) -> None:
    frame = pl.DataFrame({name: [1, 2] for name in ("a b", "<script>", "ü: -", "yes", "1", "'", '"', "# no comment")})
    _, manifest = filled(frame=frame)
    data = dump_output_contract(manifest)
    assert data is not None
    assert parse_contract(data.decode()).names == frame.columns
    assert [p["name"] for p in yaml.safe_load(data)["schema"][0]["properties"]] == frame.columns


def test_twice_the_same_bytes(filled: Filled) -> None:
    build, manifest = filled(frame=EVERYTHING)
    data = dump_output_contract(manifest)
    assert data == dump_output_contract(Manifest.model_validate(manifest.model_dump()))
    assert data is not None
    assert str(build.path).encode() not in data
