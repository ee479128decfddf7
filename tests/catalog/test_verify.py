from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from headrace.catalog.commit import publish
from headrace.catalog.manifest import Manifest
from headrace.catalog.reader import open_dataset
from headrace.catalog.records import File
from headrace.catalog.verify import Damage, verify
from headrace.schemas.errors import UsageError

FILES = [
    "README.md",
    "croissant.json",
    "manifest.json",
    "output.odcs.yaml",
    "quarantine/part-00000.parquet",
    "state/carrier.parquet",
    "state/pipeline.json",
    "test/part-00000.parquet",
    "train/part-00000.parquet",
]


@pytest.fixture
def root(make: Any) -> Path:
    path: Path = make().path
    for file in path.rglob("*"):
        file.chmod(0o755)
    return path


@pytest.mark.parametrize("level", ["size", "sha256", "pages"])
def test_a_dataset_as_published_has_no_damage(root: Path, catalog: Path, level: Any) -> None:
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert sorted(found) == FILES
    assert verify(open_dataset(catalog / "demo"), level) == []
    assert verify(catalog / "demo", level) == []


@pytest.mark.parametrize("path", FILES)
@pytest.mark.slow
def test_any_flipped_bit_is_found(root: Path, catalog: Path, path: str) -> None:
    dataset = open_dataset(catalog / "demo")
    data = (root / path).read_bytes()
    draw = random.Random(7)
    bits = {0, 8 * len(data) - 1, *(draw.randrange(8 * len(data)) for _ in range(30))}
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (root / path).write_bytes(flipped)
        assert [damage.path for damage in verify(dataset)] == [path], bit
        assert [damage.path for damage in verify(catalog / "demo")] == [path], bit
    (root / path).write_bytes(data)
    assert verify(dataset) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("level", ["size", "sha256", "pages"])
def test_truncation_deletion_and_growth_are_found_at_every_level(
    root: Path, catalog: Path, path: str, level: Any
) -> None:
    data = (root / path).read_bytes()
    problems = []
    for spoiled in (data[:-1], b"", data + b"\n", None):
        if spoiled is None:
            (root / path).unlink()
        else:
            (root / path).write_bytes(spoiled)
        (damage,) = verify(catalog / "demo", level)
        assert damage.path == path
        problems.append(damage.problem)
    assert problems == (["manifest"] * 4 if path == "manifest.json" else ["size", "size", "size", "missing"])


def test_swapped_files_are_found(root: Path, catalog: Path) -> None:
    one, other = root / "state" / "carrier.parquet", root / "quarantine" / "part-00000.parquet"
    other.write_bytes(one.read_bytes()[::-1])
    assert [damage.problem for damage in verify(catalog / "demo")] == ["sha256"]
    train, test = root / "train" / "part-00000.parquet", root / "test" / "part-00000.parquet"
    train.rename(root / "x")
    test.rename(train)
    (root / "x").rename(test)
    assert [damage.path for damage in verify(catalog / "demo")] == [
        "quarantine/part-00000.parquet",
        "test/part-00000.parquet",
        "train/part-00000.parquet",
    ]


def test_a_swapped_build_is_found(make: Any, catalog: Path, root: Path) -> None:
    other: Path = make(frame=pl.DataFrame({"x": [1, 2, 3]})).path
    other.rename(catalog / "x")
    root.rename(other)
    (catalog / "x").rename(root)
    assert [damage.problem for damage in verify(f"{catalog}/demo@1")] == ["manifest"]
    assert [damage.problem for damage in verify(f"{catalog}/demo@2")] == ["manifest"]


def test_a_file_that_no_one_listed_is_found(root: Path, catalog: Path) -> None:
    (root / "train" / "part-00001.parquet").write_bytes(b"abc")
    assert verify(catalog / "demo", "size") == [Damage("train/part-00001.parquet", "unlisted", "nothing", "3 bytes")]


def test_a_link_out_of_the_build_is_found(root: Path, catalog: Path, tmp_path: Path) -> None:
    (root / "state" / "pipeline.json").rename(tmp_path / "pipeline.json")
    (root / "state" / "pipeline.json").symlink_to(tmp_path / "pipeline.json")
    assert [damage.problem for damage in verify(catalog / "demo")] == ["outside"]


def test_size_reads_no_data(root: Path, catalog: Path) -> None:
    data = bytearray((root / "state" / "pipeline.json").read_bytes())
    data[0] ^= 1
    (root / "state" / "pipeline.json").write_bytes(data)
    assert verify(catalog / "demo", "size") == []
    (damage,) = verify(catalog / "demo")
    assert str(damage).startswith("state/pipeline.json: sha256: expected ")


def shard(manifest: Manifest, **changes: Any) -> dict[str, Any]:
    """The manifest's splits with its first shard described wrongly."""
    train = manifest.splits["train"]
    file = File.model_construct(**(train.files[0].model_dump() | changes))
    split = train.model_copy(update={"files": (file,), "rows": file.rows})
    return dict(manifest.splits) | {"train": split}


@pytest.mark.parametrize(
    ("change", "problems"),
    [({"rows": 5}, ["rows"]), ({"row_groups": (3, 1)}, ["row groups"])],
)
def test_pages_finds_a_manifest_that_was_wrong_from_the_start(
    filled: Callable[..., Any], catalog: Path, change: dict[str, Any], problems: list[str]
) -> None:
    build, manifest = filled()
    publish(catalog, "demo", build, manifest.model_copy(update={"splits": shard(manifest, **change)}))
    assert verify(catalog / "demo") == []
    assert [damage.problem for damage in verify(catalog / "demo", "pages")] == problems


def test_pages_finds_another_schema(filled: Callable[..., Any], catalog: Path) -> None:
    build, manifest = filled()
    fields = (manifest.arrow_schema[0].model_copy(update={"nullable": True}), *manifest.arrow_schema[1:])
    publish(catalog, "demo", build, manifest.model_copy(update={"arrow_schema": fields}))
    found = verify(catalog / "demo", "pages")
    assert [(damage.path, damage.problem) for damage in found] == [
        ("manifest.json", "schema"),
        ("test/part-00000.parquet", "schema"),
        ("train/part-00000.parquet", "schema"),
    ]
    assert found[1].got == "delay is float not null here, float there"


def test_pages_checks_the_checksum_of_every_page(root: Path, catalog: Path) -> None:
    path = root / "train" / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    size = pq.read_metadata(path).row_group(0).column(0).total_compressed_size
    data[start + size - 1] ^= 1
    path.write_bytes(data)
    assert [damage.problem for damage in verify(catalog / "demo", "pages")] == ["sha256", "unreadable"]


def test_another_level_is_a_usage_error(root: Path, catalog: Path) -> None:
    assert json.loads((root / "manifest.json").read_text())["format"] == 1
    with pytest.raises(UsageError, match="'deep' is not a level of verification"):
        verify(catalog / "demo", "deep")  # type: ignore[arg-type]
