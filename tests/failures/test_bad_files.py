"""Files that are not there, not whole, not Parquet or not what the contract says: an error that names them."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.failures.shop import Refusals, Shop, rows

from headrace.schemas.errors import DataError

pytestmark = pytest.mark.slow  # each test is a run


def test_good_input_is_published(shop: Shop) -> None:
    record = shop.build()
    assert (record.status, record.version, record.rows_in, record.rows_published) == ("done", 1, 240, 240)
    shop.assert_nothing_left(published=1)


def test_missing_path_is_named_with_what_is_near(shop: Shop, refused: Refusals) -> None:
    shop.plain["source"]["path"] = "dat"
    refused(f"{shop.folder / 'dat'}: no such file or folder", "did you mean data?")


def test_pattern_that_matches_nothing(shop: Shop, refused: Refusals) -> None:
    shop.plain["source"]["path"] = "data/*.pq"
    refused("data/*.pq: no file matches this pattern")


def test_empty_folder(shop: Shop, refused: Refusals) -> None:
    for path in shop.source.iterdir():
        path.unlink()
    refused(f"{shop.source}: the folder is empty")


def test_folder_without_a_parquet_file(shop: Shop, refused: Refusals) -> None:
    for path in shop.source.iterdir():
        path.rename(path.with_suffix(".dat"))
    refused("no Parquet file among the 3 files of the folder")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def csv(path: Path) -> None:
    rows(1).write_csv(path)


def other_type(path: Path) -> None:
    rows(1).with_columns(pl.col("price").cast(pl.String)).write_parquet(path)


def missing_column(path: Path) -> None:
    rows(1).drop("city").write_parquet(path)


def extra_column(path: Path) -> None:
    rows(1).with_columns(tax=1.5).write_parquet(path)


def duplicate_columns(path: Path) -> None:
    table = rows(1).to_arrow()
    pq.write_table(pa.table([*table.columns, table["price"]], names=["id", "price", "city", "late", "price"]), path)


def lists(path: Path) -> None:
    rows(1).with_columns(pl.col("price").map_elements(lambda x: [x], pl.List(pl.Float64))).write_parquet(path)


def no_columns(path: Path) -> None:
    pq.write_table(pa.table({}), path)


BAD = [
    (empty, ["the file is empty (0 bytes)"]),
    (truncated, ["truncated: a Parquet file ends with b'PAR1'"]),
    (csv, ["not a Parquet file: it begins with b'id,p'"]),
    (other_type, ["price: got String, expected Float64"]),
    (missing_column, ["city: missing, expected String"]),
    (extra_column, ["tax: not in the contract, got Float64"]),
    (duplicate_columns, ["duplicate column names: 'price' 2 times"]),
    (lists, ["price: got List[Float64], a list in every row, expected Float64"]),
    (no_columns, ["4 findings", "id: missing, expected Int64"]),
]
BY_NAME = pytest.mark.parametrize(("spoil", "says"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])


@BY_NAME
def test_bad_file_fails_the_run(shop: Shop, refused: Refusals, spoil: object, says: list[str]) -> None:
    path = shop.source / "part-1.parquet"
    spoil(path)  # type: ignore[operator]
    refused(f"error[data]: {path}: ", *says, "hint: ")
    assert shop.last_run().status == "failed"
    assert shop.last_run().error is not None


@BY_NAME
def test_bad_file_is_quarantined_where_the_source_says_so(shop: Shop, spoil: object, says: list[str]) -> None:
    shop.plain["source"]["on_bad_file"] = "quarantine"
    path = shop.source / "part-1.parquet"
    spoil(path)  # type: ignore[operator]
    record = shop.build()
    assert (record.status, record.rows_published) == ("done", 160)
    assert [bad.path for bad in record.bad_files] == [str(path)]
    assert all(text in record.bad_files[0].reason for text in says)
    quality = shop.dataset().manifest.quality
    assert quality is not None
    assert [bad.path for bad in quality.bad_files] == [path.name]  # other teams need not know our folders


def test_nothing_but_bad_files_is_an_error_that_lists_them(shop: Shop, refused: Refusals) -> None:
    shop.plain["source"]["on_bad_file"] = "quarantine"
    for path in shop.source.iterdir():
        truncated(path)
    refused("no row to work on in 3 file(s)", "part-0.parquet: truncated", "part-2.parquet: truncated")


def test_bytes_flipped_in_the_pages_of_a_file_with_a_good_footer(shop: Shop, refused: Refusals) -> None:
    path = shop.write(rows(1), compression="zstd")
    data = bytearray(path.read_bytes())
    data[100:400] = bytes(byte ^ 0xFF for byte in data[100:400])
    path.write_bytes(data)
    refused(f"{path}: rows 0 to 80 cannot be read", "damaged beyond its footer")


@pytest.mark.parametrize("start", range(4, 1500, 100))
def test_flipped_bytes_anywhere_never_give_a_trace(shop: Shop, start: int, capfd: pytest.CaptureFixture[str]) -> None:
    path = shop.write(rows(1), compression="snappy", use_pyarrow=True, pyarrow_options={"write_page_checksum": True})
    data = bytearray(path.read_bytes())
    for position in range(start, min(start + 8, len(data))):
        data[position] ^= 0xFF
    path.write_bytes(data)
    outcome = shop.run()
    assert outcome.code in (0, 1)
    assert outcome.code == 0 or outcome.stderr.startswith("error[data]: "), outcome.stderr
    assert capfd.readouterr().err == ""
    shop.assert_nothing_left(published=1 - outcome.code)


def test_file_deleted_between_planning_and_reading(
    shop: Shop, refused: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.source / "part-1.parquet"
    after_prepare(monkeypatch, path.unlink)
    refused(f"{path}: no such file")


def test_file_changed_between_planning_and_reading(
    shop: Shop, refused: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.source / "part-1.parquet"
    after_prepare(monkeypatch, lambda: shop.write(rows(1, 50)))
    refused(f"{path}: the file has changed during the run")


def test_file_of_other_columns_between_planning_and_reading(
    shop: Shop, refused: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.source / "part-1.parquet"
    after_prepare(monkeypatch, lambda: missing_column(path))
    refused(f"{path}: the file has changed during the run")


def after_prepare(monkeypatch: pytest.MonkeyPatch, act: object) -> None:
    from headrace.pipelines import build

    prepare = build.prepare

    def prepared(*args: object) -> object:
        made = prepare(*args)  # type: ignore[arg-type]
        act()  # type: ignore[operator]
        return made

    monkeypatch.setattr(build, "prepare", prepared)


def test_files_without_a_row_among_good_ones(shop: Shop) -> None:
    shop.write(rows(0, 0), "part-0a.parquet")
    shop.write(rows(0, 0), "zz.parquet")
    record = shop.build()
    assert (record.rows_in, record.rows_published) == (240, 240)


def test_only_files_without_a_row(shop: Shop, refused: Refusals) -> None:
    for path in shop.source.iterdir():
        rows(0, 0).write_parquet(path)
    refused("no row to work on in 3 file(s)")


@pytest.mark.slow
def test_a_thousand_tiny_files(shop: Shop) -> None:
    frame = rows(0, 1000)
    for path in shop.source.iterdir():
        path.unlink()
    for number in range(1000):
        frame[number : number + 1].write_parquet(shop.source / f"{number:04d}.parquet")
    record = shop.build()
    assert (record.rows_in, record.rows_published) == (1000, 1000)


def test_a_table_to_look_up_in_that_is_missing(shop: Shop, refused: Refusals) -> None:
    with_cities(shop, pl.DataFrame({"city": ["Bern"], "people": [133]}))
    shutil.move(shop.folder / "cities.parquet", shop.folder / "towns.parquet")
    refused("table cities: ", "cities.parquet: no such file")


def test_a_table_with_two_rows_of_one_key(shop: Shop, refused: Refusals) -> None:
    with_cities(shop, pl.DataFrame({"city": ["Bern", "Zug", "Bern"], "people": [133, 30, 134]}))
    refused("table 'cities' has several rows for 1 of its keys (city = 'Bern' has 2)", code="pipeline", exit_code=2)


def test_a_table_that_is_damaged(shop: Shop, refused: Refusals) -> None:
    with_cities(shop, pl.DataFrame({"city": ["Bern"], "people": [133]}))
    truncated(shop.folder / "cities.parquet")
    refused("table cities: ", "truncated")


def with_cities(shop: Shop, cities: pl.DataFrame) -> None:
    cities.write_parquet(shop.folder / "cities.parquet")
    shop.plain["source"]["tables"] = {"cities": "cities.parquet"}
    lookup = {"LookupJoin": {"table": "cities", "on": ["city"], "columns": ["people"]}}
    shop.plain["steps"] = [lookup, *shop.plain["steps"]]


def test_a_page_header_that_makes_polars_panic(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    path = shop.write(rows(1), compression="uncompressed")
    chunk = pq.read_metadata(path).row_group(0).column(0)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + 51] ^= 0xFF  # the number of values
    path.write_bytes(data)
    with pytest.raises(DataError, match="rows 0 to 80 cannot be read: a page is damaged"):
        shop.build()
    assert "panicked" in capfd.readouterr().err  # by Rust itself; nobody else can say where
    assert shop.last_run().status == "failed"
    shop.assert_nothing_left()
