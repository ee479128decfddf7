from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tests.catalog.loader.worlds import published

from headrace.catalog import log
from headrace.catalog.build import Build
from headrace.catalog.manifest import Manifest, Producer, Split, dump
from headrace.catalog.reader import open_dataset
from headrace.catalog.store import open_store
from headrace.schemas.errors import DataError, UsageError

Filled = Callable[..., tuple[Build, Manifest]]


def commit_document(catalog: Path, build: Build, document: dict[str, Any]) -> None:
    """Publish a manifest that our own writer would not write."""
    data = json.dumps(document).encode()
    (build.path / "manifest.json").write_bytes(data)
    log.commit(
        open_store(catalog / "demo"),
        build=build.id,
        manifest_sha256=hashlib.sha256(data).hexdigest(),
        producer=Producer(headrace="9.0", python="3.14", polars="2.0"),
    )


def document_of(manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(dump(manifest))
    return document


def test_a_dataset_opens_with_its_rows(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    assert (dataset.name, dataset.version, dataset.splits) == ("demo", 1, ("train", "test"))
    assert dataset.rows == {"train": 4, "test": 2}
    assert dataset.to_polars("test").to_dict(as_series=False) == {
        "delay": [0.5, -1.25],
        "carrier": [2, 3],
        "late": [0, 0],
    }
    assert dataset.to_polars("train").schema == {"delay": pl.Float32, "carrier": pl.Int32, "late": pl.UInt8}
    assert dataset.state_path == dataset.path / "state" / "pipeline.json"


def test_labels_are_no_features(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    assert (dataset.features, dataset.labels) == (("delay", "carrier"), ("late",))
    assert dataset.trained_on == ("delay", "carrier", "late")


def test_keys_times_and_weights_are_neither_features_nor_labels(filled: Filled, catalog: Path) -> None:
    build, manifest = filled()
    document = document_of(manifest)
    for column, role in zip(document["columns"], ("weight", "key", "label"), strict=True):
        column["role"] = role
    commit_document(catalog, build, document)
    dataset = open_dataset(catalog / "demo")
    assert (dataset.features, dataset.labels, dataset.trained_on) == ((), ("late",), ("delay", "late"))


def test_no_split_means_all_in_order(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    assert dataset.to_polars()["carrier"].to_list() == [2, 3, 2, 4, 2, 3]
    assert dataset.arrow().column("carrier").to_pylist() == [2, 3, 2, 4, 2, 3]
    assert dataset.scan().filter(pl.col("late") == 1).collect().height == 1


def test_columns_come_in_the_order_asked_for(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    assert dataset.to_polars("train", ["late", "delay"]).columns == ["late", "delay"]
    assert dataset.arrow("train", ["late", "delay"]).column_names == ["late", "delay"]


def test_arrow_knows_what_is_required(make: Any, catalog: Path) -> None:
    make()
    assert open_dataset(catalog / "demo").arrow("test").schema == pa.schema(
        [
            pa.field("delay", pa.float32(), nullable=False),
            pa.field("carrier", pa.int32(), nullable=False),
            pa.field("late", pa.uint8(), nullable=False),
        ]
    )


def test_an_empty_split_has_columns_and_no_rows(filled: Filled, catalog: Path) -> None:
    build, manifest = filled()
    splits = dict(manifest.splits) | {"validation": Split(rule="none", rows=0)}
    commit_document(catalog, build, document_of(manifest.model_copy(update={"splits": splits})))
    dataset = open_dataset(catalog / "demo")
    assert dataset.to_polars("validation").schema == dataset.to_polars("train").schema
    assert dataset.arrow("validation", ["late"]).num_rows == 0
    assert dataset.to_polars("validation", ["late"]).shape == (0, 1)


def test_versions_are_asked_for_in_three_ways(make: Any, catalog: Path) -> None:
    make()
    make()
    assert open_dataset(catalog / "demo").version == 2
    assert open_dataset(str(catalog / "demo"), "latest").version == 2
    for opened in (
        open_dataset(catalog / "demo", 1),
        open_dataset(catalog / "demo", "1"),
        open_dataset(f"{catalog}/demo@1"),
        open_dataset(f"file://{catalog}/demo@1", version=1),
    ):
        assert opened.version == 1


def test_the_repr_says_what_it_is(make: Any, catalog: Path) -> None:
    make()
    text = repr(open_dataset(catalog / "demo"))
    assert text.startswith("Dataset(demo@1: train 4, test 2 rows; 3 columns; ")
    assert str(catalog) in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda root: open_dataset(root / "dem"), r"no dataset 'dem' in .*; did you mean 'demo'\?"),
        (lambda root: open_dataset(root / "xyz"), r"no dataset 'xyz' in .*; there are demo"),
        (lambda root: open_dataset(root / "nowhere" / "demo"), r"no catalog at .*nowhere"),
        (lambda root: open_dataset(root), "is a catalog, not a dataset; it holds demo"),
        (lambda root: open_dataset(root / "demo", 2), r"demo has no version 2; it has 1$"),
        (lambda root: open_dataset(root / "demo", 0), r"demo has no version 0; it has 1$"),
        (lambda root: open_dataset(root / "demo", -1), r"demo has no version -1; it has 1$"),
        (lambda root: open_dataset(root / "demo", "newest"), "'newest' is not a version"),
        (lambda root: open_dataset(root / "demo", "v2"), "demo@v2: 'v2' is not a version; there are 1, latest$"),
        (lambda root: open_dataset(root / "demo", "0_1"), "'0_1' is not a version"),
        (lambda root: open_dataset(root / "demo", None), "None is not a version"),  # type: ignore[arg-type]
        (lambda root: open_dataset(root / "demo@x"), "demo@x: 'x' is not a version"),
        (lambda root: open_dataset(root / "demo@1", 2), "names version 1, and version=2 was asked for as well"),
        (lambda root: open_dataset(root / "demo").scan("trian"), r"no split 'trian'; did you mean 'train'\?"),
        (lambda root: open_dataset(root / "demo").to_polars("train", ["dely"]), r"no column 'dely'; did you mean"),
        (lambda root: open_dataset(root / "demo").arrow("train", ["dely"]), r"no column 'dely'; did you mean"),
    ],
)
def test_a_wrong_name_gets_the_near_ones(make: Any, catalog: Path, call: Any, message: str) -> None:
    make()
    with pytest.raises(UsageError, match=message):
        call(catalog)


def test_a_dataset_that_was_never_published_is_unknown(filled: Filled, catalog: Path) -> None:
    filled()
    with pytest.raises(UsageError, match=r"no dataset 'demo' in .*; there are none"):
        open_dataset(catalog / "demo")


def test_a_changed_manifest_is_refused(make: Any, catalog: Path) -> None:
    path = make().path / "manifest.json"
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data.replace(b'"late"', b'"Late"'))
    with pytest.raises(DataError, match="manifest of version 1 was changed after it was published: sha256 "):
        open_dataset(catalog / "demo")


def test_a_missing_manifest_is_named(make: Any, catalog: Path) -> None:
    make().path.joinpath("manifest.json").unlink()
    with pytest.raises(DataError, match="manifest of version 1 cannot be read: No such file") as caught:
        open_dataset(catalog / "demo")
    assert caught.value.where.endswith("manifest.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"written by headrace 9\.0, needs format 2; this one reads up to 1"),
        ({"reader_features": ["delta"]}, r"written by headrace 9\.0, needs features delta"),
        ({"splits": []}, "is not a manifest: 1 faults, the first at splits"),
        ({"schema_fingerprint": "x"}, "is not a manifest: 1 faults, the first at schema_fingerprint"),
    ],
)
def test_a_manifest_from_the_future_or_nonsense_is_refused(
    filled: Filled, catalog: Path, change: dict[str, Any], message: str
) -> None:
    build, manifest = filled()
    document = document_of(manifest) | change
    document["producer"]["headrace"] = "9.0"
    commit_document(catalog, build, document)
    with pytest.raises(DataError, match=message):
        open_dataset(catalog / "demo")


def test_fields_of_later_versions_are_skipped(filled: Filled, catalog: Path) -> None:
    build, manifest = filled()
    document = document_of(manifest) | {"colour": "blue"}
    document["columns"][0]["unit"] = "minutes"
    commit_document(catalog, build, document)
    assert open_dataset(catalog / "demo").manifest == manifest


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../secret.parquet", "train/../../x"])
def test_a_manifest_cannot_point_out_of_its_build(filled: Filled, catalog: Path, path: str) -> None:
    build, manifest = filled()
    document = document_of(manifest)
    document["splits"]["train"]["files"][0]["path"] = path
    commit_document(catalog, build, document)
    with pytest.raises(DataError, match="is not a plain relative path"):
        open_dataset(catalog / "demo")


def test_a_link_cannot_lead_out_of_the_build(make: Any, catalog: Path, tmp_path: Path) -> None:
    shard = make().path / "train" / "part-00000.parquet"
    shard.rename(tmp_path / "outside.parquet")
    shard.symlink_to(tmp_path / "outside.parquet")
    dataset = open_dataset(catalog / "demo")
    for read in (dataset.to_polars, dataset.scan, dataset.arrow):
        with pytest.raises(DataError, match=r"train/part-00000\.parquet leads out of the build"):
            read("train")


def test_a_damaged_file_is_found_when_it_is_opened_if_that_is_asked_for(make: Any, catalog: Path) -> None:
    shard = make().path / "train" / "part-00000.parquet"
    data = shard.read_bytes()
    checked = open_dataset(catalog / "demo", verify="always")
    assert checked.files("train") == [shard]
    shard.chmod(0o644)
    shard.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert checked.files("train") == [shard]
    with pytest.raises(DataError, match=r"has .* sha256 .* was published with") as caught:
        open_dataset(catalog / "demo", verify="always").files("train")
    assert caught.value.where == str(shard)
    shard.unlink()
    with pytest.raises(DataError, match=r"is missing; expected [\d,]+ bytes, 4 rows"):
        open_dataset(catalog / "demo", verify="always").local(checked.manifest.splits["train"].files[0])
    with pytest.raises(UsageError, match="verify='never' is not known"):
        open_dataset(catalog / "demo", verify="never")  # type: ignore[arg-type]


def torn(data: bytes, _: bytes) -> bytes:
    return data[:-40] + b"\xff" * 40


def swapped(_: bytes, other: bytes) -> bytes:
    return other


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (None, "is missing; expected {bytes} bytes, 6 rows"),
        (torn, "cannot be read: .*; expected {bytes} bytes, 6 rows"),
        (lambda data, _: data[: len(data) // 2], "cannot be read: .*; expected {bytes} bytes, 6 rows"),
        (swapped, "has columns 'x' not as its manifest says; expected {bytes} bytes, 6 rows"),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_a_shard_that_cannot_be_read_is_named(tmp_path: Path, damage: Any, message: str, number: int) -> None:
    ids = pa.table({"id": range(6), "x": [0.5] * 6})
    dataset = published(tmp_path, (ids, [6]), (ids, [4, 2]))
    other = published(tmp_path / "other", (pa.table({"id": range(6), "x": range(6)}), [6])).files("train")[0]
    path = dataset.files("train")[number]
    size = path.stat().st_size
    if damage is None:
        path.unlink()
    else:
        path.chmod(0o644)
        path.write_bytes(damage(path.read_bytes(), other.read_bytes()))
    found = open_dataset(tmp_path / "demo")  # a schema that was read is kept
    for read in (found.arrow, found.to_polars, lambda split: found.torch(split, device="cpu")):
        with pytest.raises(DataError, match=message.format(bytes=f"{size:,}")) as caught:
            read("train")
        assert caught.value.where == str(path)
        assert caught.value.hint.startswith("headrace datasets verify demo@1 finds all that is damaged")


def test_what_polars_alone_cannot_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter of what wrote the file that is no letter any more; a panic, which no error of Polars' is."""
    dataset = published(tmp_path, *[(pa.table({"id": range(6)}), [6])] * 2)
    path = dataset.files("train")[1]
    path.chmod(0o644)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"parquet-cpp", b"\xffarquet-cpp"))
    with pytest.raises(DataError, match=r"cannot be read by Polars: .*utf8") as caught:
        dataset.to_polars("train")
    assert caught.value.where == str(path)
    path.write_bytes(data)
    scan = pl.scan_parquet

    def panic(paths: list[Path], **options: Any) -> pl.LazyFrame:
        if path in paths:
            raise pl.exceptions.PanicException("range end index 9 out of range")
        return scan(paths, **options)

    monkeypatch.setattr(pl, "scan_parquet", panic)
    with pytest.raises(DataError, match=r"cannot be read by Polars: range end index") as caught:
        dataset.to_polars("train")
    assert caught.value.where == str(path)


def test_a_name_in_a_footer_that_is_no_text_is_damage(tmp_path: Path) -> None:
    dataset = published(tmp_path, (pa.table({"id": range(6)}), [6]))
    [path] = dataset.files("train")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"\x02id", b"\x02i\xff"))
    for read in (dataset.arrow, dataset.to_polars, lambda split: list(dataset.numpy_loader(split, batch_size=6))):
        with pytest.raises(DataError, match=r"cannot be (read|decoded): ") as caught:
            read("train")
        assert caught.value.where == str(path)


def test_an_error_of_polars_that_no_shard_explains_stays_as_it_is(
    make: Any, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    scan = pl.scan_parquet

    def fail(paths: list[Path], **options: Any) -> pl.LazyFrame:
        if calls.append(paths) or len(calls) == 1:
            raise pl.exceptions.ComputeError("another matter")
        return scan(paths, **options)

    calls: list[Any] = []
    monkeypatch.setattr(pl, "scan_parquet", fail)
    with pytest.raises(pl.exceptions.ComputeError, match="another matter"):
        open_dataset(catalog / "demo").to_polars("train")


def test_a_shard_with_other_rows_is_named(tmp_path: Path) -> None:
    ids = pa.table({"id": range(6)})
    dataset = published(tmp_path, (ids, [6]))
    other = published(tmp_path / "other", (ids.slice(2), [4])).files("train")[0]
    [path] = dataset.files("train")
    path.chmod(0o644)
    path.write_bytes(other.read_bytes())
    for read in (dataset.arrow, dataset.to_polars):
        with pytest.raises(DataError, match=r"has 4 rows; expected .* bytes, 6 rows"):
            read("train")


def test_columns_are_a_list_of_names(make: Any, catalog: Path) -> None:
    make()
    dataset = open_dataset(catalog / "demo")
    for columns in ("id", 3, b"id", {"id"}):
        with pytest.raises(UsageError, match=r"columns is .*; expected a list of names") as caught:
            dataset.to_polars("train", columns)  # type: ignore[arg-type]
        assert caught.value.hint == f"columns=[{columns!r}]"
    assert list(dataset.torch("train", (name for name in ["late", "delay"]), "cpu")) == ["late", "delay"]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="demo@1 has no column 3; there are"):
        dataset.to_polars("train", [3])  # type: ignore[list-item]
    for split in (3, ["train"]):
        with pytest.raises(UsageError, match=r"demo@1 has no split (3|\['train'\])"):
            dataset.to_polars(split)  # type: ignore[arg-type]


def test_a_catalog_behind_a_link_is_fine(make: Any, catalog: Path, tmp_path: Path) -> None:
    make()
    (tmp_path / "link").symlink_to(catalog)
    assert open_dataset(tmp_path / "link" / "demo").to_polars("train").height == 4
