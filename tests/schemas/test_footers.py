import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.schemas.errors import DataError
from headrace.schemas.footers import find_files, read_footer


def write(path: Path, table: pa.Table, **options: object) -> Path:
    pq.write_table(table, path, **options)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    table = pa.table({"a": [1, 2, 3, 4, 5], "b.c": ["x", "y", "z", "x", None], "l": [[1.0], [], [2.0], None, [3.0]]})
    return write(tmp_path / "good.parquet", table, row_group_size=2)


def test_footer_gives_rows_row_groups_and_dtypes(good: Path) -> None:
    footer = read_footer(good)
    assert footer.path == good
    assert footer.bytes == good.stat().st_size
    assert footer.rows == 5
    assert footer.schema == {"a": pl.Int64(), "b.c": pl.String(), "l": pl.List(pl.Float64)}
    assert [(group.first_row, group.rows) for group in footer.row_groups] == [(0, 2), (2, 2), (4, 1)]
    for group in footer.row_groups:
        assert list(group.column_bytes) == ["a", "b.c", "l"]
        assert sum(group.column_bytes.values()) == group.bytes > 0


def test_a_name_is_never_read_as_a_pattern(tmp_path: Path) -> None:
    write(tmp_path / "x1.parquet", pa.table({"a": [1]}))
    assert read_footer(write(tmp_path / "x[1].parquet", pa.table({"b": ["y"]}))).schema == {"b": pl.String()}


def test_bytes_of_nested_columns_are_those_of_their_leaves(tmp_path: Path) -> None:
    struct = pa.array([{"x": 1, "y": {"z": "long text" * 100}}] * 3)
    mapping = pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64()))
    path = write(tmp_path / "n.parquet", pa.table({"s": struct, "m": mapping, "i": [1, 2, 3]}))
    group = read_footer(path).row_groups[0]
    assert sum(group.column_bytes.values()) == group.bytes
    assert group.column_bytes["s"] > group.column_bytes["m"] > group.column_bytes["i"]


def test_fingerprint_is_the_files_not_the_paths(good: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(good.read_bytes())
    other = write(tmp_path / "other.parquet", pa.table({"a": [1, 2, 3]}))
    assert read_footer(copy).fingerprint == read_footer(good).fingerprint
    assert read_footer(other).fingerprint != read_footer(good).fingerprint


def test_file_without_rows_is_read(tmp_path: Path) -> None:
    footer = read_footer(write(tmp_path / "none.parquet", pa.table({"a": pa.array([], pa.int32())})))
    assert (footer.rows, footer.schema) == (0, {"a": pl.Int32()})


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_footer(path)
    assert caught.value.where == str(path)
    assert caught.value.hint
    return caught.value


def test_missing_file_names_its_neighbours(good: Path) -> None:
    error = refused(good.parent / "god.parquet")
    assert error.message == "no such file"
    assert error.hint == "did you mean good.parquet?"


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    path.touch()
    assert refused(path).message == "the file is empty (0 bytes)"


@pytest.mark.parametrize("content", [b"a,b\n1,2\n" * 100, b"x", b"\x00" * 4096, b'{"a": 1}\n'])
def test_other_formats_named_parquet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(content)
    assert refused(path).message.startswith("not a Parquet file: it begins with ")


@pytest.mark.parametrize("kept", [4, 7, 11, 200, -1, -9])
def test_truncated_file(good: Path, kept: int) -> None:
    good.write_bytes(good.read_bytes()[:kept])
    assert refused(good).message.startswith("truncated: a Parquet file ends with b'PAR1'")


def test_footer_that_claims_more_than_there_is(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:200] + (10**6).to_bytes(4, "little") + b"PAR1")
    assert refused(good).message == "damaged: its footer should take 1,000,000 bytes, the file has 208"


def test_data_cut_from_the_middle(good: Path) -> None:
    content = good.read_bytes()
    good.write_bytes(content[:50] + content[250:])
    assert refused(good).message.startswith("damaged: its footer describes data up to byte ")


def test_footer_of_garbage(good: Path) -> None:
    content = bytearray(good.read_bytes())
    length = int.from_bytes(content[-8:-4], "little")
    content[-8 - length : -8] = b"\xff" * length
    good.write_bytes(content)
    assert refused(good).message.startswith("its Parquet footer cannot be read: ")


def test_encrypted_file(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-4] + b"PARE")
    assert refused(good).message == "encrypted Parquet is not supported"


def test_duplicate_column_names(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"])
    assert refused(write(tmp_path / "d.parquet", table)).message == "duplicate column names: 'a' 2 times"


def test_reserved_column_names(tmp_path: Path) -> None:
    path = write(tmp_path / "r.parquet", pa.table({"__row": [1], "a": [2]}))
    assert refused(path).message == "column names that begin with '__' are reserved: __row"


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert refused(tmp_path).message == "cannot be read: Is a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(good: Path) -> None:
    good.chmod(0)
    assert refused(good).message == "may not be read: permission denied"


def test_unreadable_file_as_the_system_says_it(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert refused(good).message == "may not be read: permission denied"


def test_files_of_a_folder_are_sorted_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    for name in [
        "b.parquet",
        "a.PARQUET",
        "c.pq",
        "month=1/a.parquet",
        "_SUCCESS",
        "_tmp/x.parquet",
        ".x.parquet",
        "r.md",
    ]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]
    assert names == ["a.PARQUET", "b.parquet", "c.pq", "month=1/a.parquet"]


def test_files_of_a_pattern_and_a_single_file(tmp_path: Path) -> None:
    for name in ["x2.data", "x1.data", "y.data", "x[1].data"]:
        (tmp_path / name).touch()
    assert [path.name for path in find_files(f"{tmp_path}/x?.data")] == ["x1.data", "x2.data"]
    assert find_files(tmp_path / "x[1].data") == (tmp_path / "x[1].data",)


def test_nothing_found_says_why(tmp_path: Path) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for source, message in {
        tmp_path / "flihgts": "no such file or folder",
        tmp_path / "flights": "the folder is empty",
        tmp_path / "*.parquet": "no file matches this pattern",
        tmp_path / "link": "a link to nothing",
    }.items():
        with pytest.raises(DataError) as caught:
            find_files(source)
        assert caught.value.message == message
        assert caught.value.where == str(source)
        assert caught.value.hint
    (tmp_path / "flights" / "notes.csv").touch()
    with pytest.raises(DataError, match="no Parquet file among the 1 files of the folder"):
        find_files(tmp_path / "flights")
