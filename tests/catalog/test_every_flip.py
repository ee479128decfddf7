"""A bit of every byte of a published version turned over, one at a time: `verify` finds each.

Every byte of the shards, the state and the quarantine; of the manifest and the documents (`README.md` and others),
which are longer, `SAMPLED` bytes evenly spread, the first and the last among them: a hash sees all bytes alike. Which
bit of a byte it is goes round with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.catalog.conftest import FRAME, Make

from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.verify import LEVELS, Level, verify
from headrace.schemas.errors import DataError

SAMPLED = 60
WHOLE = (".parquet", "pipeline.json")


@pytest.fixture
def dataset(make: Make, catalog: Path) -> Dataset:
    make(frame=FRAME.select("carrier"))
    opened = open_dataset(catalog / "demo")
    for path in opened.path.rglob("*"):
        path.chmod(0o755)
    return opened


def files_of(dataset: Dataset) -> list[Path]:
    return sorted(path for path in dataset.path.rglob("*") if path.is_file())


def places(path: Path) -> list[int]:
    size = path.stat().st_size
    if path.name.endswith(WHOLE) or size <= SAMPLED:
        return list(range(size))
    return sorted({round(n * (size - 1) / (SAMPLED - 1)) for n in range(SAMPLED)})


def flipped(path: Path, at: Iterable[int]) -> Iterator[int]:
    """The file with one bit turned over, at each place; as it was afterwards."""
    data = path.read_bytes()
    for place in at:
        spoiled = bytearray(data)
        spoiled[place] ^= 1 << place % 8
        path.write_bytes(spoiled)
        yield place
    path.write_bytes(data)


@pytest.mark.slow
def test_every_flip_of_every_file_is_found(dataset: Dataset) -> None:
    tried = 0
    for path in files_of(dataset):
        name = path.relative_to(dataset.path).as_posix()
        for place in flipped(path, places(path)):
            found = verify(dataset, "sha256")
            assert [damage.path for damage in found] == [name], (name, place)
            assert found[0].problem == ("manifest" if name == "manifest.json" else "sha256")
            tried += 1
    assert tried > 1_500
    assert verify(dataset) == []


@pytest.mark.slow
def test_pages_finds_what_sha256_finds(dataset: Dataset) -> None:
    for path in files_of(dataset):
        name = path.relative_to(dataset.path).as_posix()
        at = places(path)
        for place in flipped(path, at[:: max(1, len(at) // SAMPLED)]):
            assert {damage.path for damage in verify(dataset, "pages")} == {name}, (name, place)


def test_size_finds_no_flip_and_is_not_meant_to(dataset: Dataset) -> None:
    shard = dataset.files("train")[0]
    for _ in flipped(shard, [100]):
        assert verify(dataset, "size") == []


def spoil(dataset: Dataset, how: str) -> list[str]:
    """Damage that changes no single byte; the paths that it should be found at."""
    train, test = dataset.path / "train/part-00000.parquet", dataset.path / "test/part-00000.parquet"
    if how == "cut to half":
        train.write_bytes(train.read_bytes()[: train.stat().st_size // 2])
        return ["train/part-00000.parquet"]
    if how == "empty":
        train.write_bytes(b"")
        return ["train/part-00000.parquet"]
    if how == "deleted":
        test.unlink()
        return ["test/part-00000.parquet"]
    if how == "a folder deleted":
        for path in (dataset.path / "state").iterdir():
            path.unlink()
        return ["state/carrier.parquet", "state/pipeline.json"]
    if how == "swapped":
        data = train.read_bytes()
        train.write_bytes(test.read_bytes())
        test.write_bytes(data)
        return ["test/part-00000.parquet", "train/part-00000.parquet"]
    if how == "one in the place of another":
        train.write_bytes(test.read_bytes())
        return ["train/part-00000.parquet"]
    assert how == "one more"
    (dataset.path / "train/part-00001.parquet").write_bytes(train.read_bytes())
    return ["train/part-00001.parquet"]


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "how",
    ["cut to half", "empty", "deleted", "a folder deleted", "swapped", "one in the place of another", "one more"],
)
def test_other_damage_is_found_at_every_level(dataset: Dataset, level: Level, how: str) -> None:
    expected = spoil(dataset, how)
    assert sorted({damage.path for damage in verify(dataset, level)}) == expected


def test_files_of_equal_size_that_are_swapped(make: Make, catalog: Path) -> None:
    """Sizes do not tell these apart; hashes do."""
    make(frame=pl.concat([FRAME.head(2), FRAME.head(2)]))
    opened = open_dataset(catalog / "demo")
    quarantine, state = opened.path / "quarantine/part-00000.parquet", opened.path / "state/carrier.parquet"
    assert quarantine.read_bytes() == state.read_bytes()
    other = bytearray(state.read_bytes())
    other[len(other) // 2] ^= 255
    state.chmod(0o644)
    state.write_bytes(other)
    assert verify(opened, "size") == []
    assert [damage.path for damage in verify(opened, "sha256")] == ["state/carrier.parquet"]


def read(catalog: Path) -> Any:
    opened = open_dataset(catalog / "demo")
    return opened.version, opened.manifest, opened.arrow("train")


@pytest.mark.slow
@pytest.mark.usefixtures("dataset")
def test_a_commit_record_with_a_flip_is_refused(catalog: Path) -> None:
    path = catalog / "demo" / "_log" / f"{1:020d}.json"
    path.chmod(0o644)
    expected = read(catalog)
    for _ in flipped(path, range(path.stat().st_size)):
        with pytest.raises(DataError):
            read(catalog)
    assert read(catalog) == expected


@pytest.mark.usefixtures("dataset")
def test_a_hint_with_a_flip_misleads_no_one(catalog: Path) -> None:
    path = catalog / "demo" / "_log" / "_latest_hint.json"
    path.chmod(0o644)
    expected = read(catalog)
    for place in flipped(path, list(range(path.stat().st_size))):
        assert read(catalog) == expected, place
    path.unlink()
    assert read(catalog) == expected
