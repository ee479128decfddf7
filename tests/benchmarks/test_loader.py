"""The benchmark of the loader: what it makes of figures, and the pieces that take them, at small sizes."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.loader import __main__ as command
from benchmarks.loader import report
from benchmarks.loader.alone import Opens
from benchmarks.loader.data import CARDINALITIES, rows_of
from benchmarks.loader.peers import PEERS, Peer, missing
from benchmarks.peers import loader_job, loader_pyarrow

MACHINE = {"processor": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux", "packages": {"torch": "2"}}
DATA = {"dataset": "wide", "rows": 4_000_000, "columns": 40, "shards": 4, "mb": 600.0, "about": "numbers"}


def ran(*seconds: float) -> dict[str, Any]:
    epochs = [{"seconds": s, "cpu_seconds": 2 * s, "resident_mb": 100 + s, "anonymous_mb": 50 + s} for s in seconds]
    return {"before": {"resident_mb": 90.0, "anonymous_mb": 40.0}, "epochs": epochs, "peak_mb": 120.0, "load": 1.0}


def peer(rows: int, seconds: float, first: float = 0.5, batch: int = 1_000) -> dict[str, Any]:
    found = {"rows": rows, "seconds": seconds, "first_batch_s": first, "batch": batch, "cpu_seconds": 2 * seconds}
    return found | {"version": "1.0", "groups": 3, "peak_mb": 200.0, "load": 1.0}


FOUND: dict[str, Any] = {
    "throughput": {
        "load": 1.0,
        "cases": [
            {
                "data": DATA,
                "runs": {
                    "raw decode": [ran(0.5, 0.25), ran(0.2, 0.3)],
                    "rows": [ran(1.0, 0.5), ran(0.8, 0.6)],
                    "blocks": [ran(1.0, 0.5), ran(0.8, 0.4)],
                },
            }
        ],
    },
    "memory": {"load": 1.0, "data": DATA, "runs": {"rows": [ran(1.0, 2.0, 5.0)]}},
    "first": {"load": 1.0, "data": DATA, "runs": [{"open_ms": ms, "all_ms": 2 * ms} for ms in (5.0, 1.0, 9.0)]},
    "s3": {
        "load": 1.0,
        "data": DATA,
        "servers": [
            {
                "server": "moto",
                "runs": {"store": [ran(2.0)], "loader": [ran(4.0, 0.5)], "local": [ran(0.6, 0.4), ran(1.0, 0.3)]},
            }
        ],
    },
    "peers": {
        "load": 1.0,
        "data": DATA,
        "seconds": 30.0,
        "runs": {
            "headrace": [peer(8_000, 4.0), peer(9_000, 3.0)],
            "other": [peer(4_000, 8.5)],
            "slow": [peer(1_000, 9.0)],
        },
        "left_out": {"LitData": "not installed: litdata"},
    },
}


def test_shares_are_of_the_shortest_epochs_and_of_each_round() -> None:
    ((sides,), _) = report.throughput(FOUND["throughput"]), None
    assert sides["rows"]["share"] == pytest.approx(0.2 / 0.5)
    assert (sides["rows"]["least_share"], sides["rows"]["most_share"]) == pytest.approx((0.2 / 0.6, 0.25 / 0.5))
    assert sides["rows"]["cpu_share"] == pytest.approx(0.4)
    assert sides["rows"]["mrows_per_s"] == pytest.approx(8.0)
    assert sides["rows"]["first_epoch_s"] == pytest.approx(0.9)
    assert sides["blocks"]["share"] == pytest.approx(0.5)


def test_memory_grows_from_the_second_epoch_on() -> None:
    assert report.memory(FOUND["memory"])["rows"] == {
        "grew_resident_mb": 3.0,
        "grew_anonymous_mb": 3.0,
        "peak_mb": 120.0,
    }


def test_a_first_batch_is_a_median() -> None:
    assert report.first(FOUND["first"]) == {"open_ms": 5.0, "all_ms": 10.0}


def test_stores_are_compared_with_themselves_and_with_files() -> None:
    moto = report.s3(FOUND["s3"])["moto"]
    assert moto["cold_of_store"] == pytest.approx(0.5)
    assert moto["cold_of_local"] == pytest.approx(0.15)
    assert moto["warm_of_local"] == pytest.approx(0.6)


def test_peers_are_beside_headrace() -> None:
    found = report.peers(FOUND["peers"])
    assert found["headrace"]["rows_per_s"] == pytest.approx(3_000)
    assert found["other"]["later_rows_per_s"] == pytest.approx(3_000 / 8.0)
    assert found["other"]["headrace_is"] == pytest.approx(3_000 * 8.5 / 4_000)
    assert found["other"]["cpu_s_per_mrow"] == pytest.approx(4_250)
    assert found["slow"]["later_rows_per_s"] == 0


def test_floors_that_are_missed_are_bold_and_who_is_left_out_is_named() -> None:
    some = {part: facts for part, facts in FOUND.items() if part != "first"}
    text = report.text(MACHINE, some)
    assert "| `rows` | 0.500 | 8.0 | 40% (33%-50%) | 1.000 | 40% | 0.900 | 35% |" in text
    assert "| `blocks` | 0.400 | 10.0 | 50% (50%-50%) | 0.800 | 50% | 0.900 | **60%** |" in text
    assert "| `rows` | 90 (40) | 101 (51) | 102 (52) | 105 (55) | 120 | +3 (+3) |" in text
    assert "| moto | 2.00 s, 300 MB/s | 4.00 s, 150 MB/s | 50% | 15% | 0.50 s | 60% | **70%** |" in text
    assert "| other | 1.0 | 1,000 | 0.50 | 0.000471 | 0.000375 | 6.4 x | 4,250 | 3 | 200 | 1.0 |" in text
    assert "Not measured: LitData: not installed: litdata." in text


def test_parts_that_are_measured_anew_take_the_place_of_theirs(tmp_path: Path) -> None:
    parts = {name: FOUND[name] for name in ("throughput", "memory")}
    report.write(tmp_path, MACHINE, parts, keep=False)
    again = {"memory": {"load": 3.0, "data": DATA, "runs": {"rows": [ran(1.0, 2.0)]}}}
    paths = report.write(tmp_path, MACHINE, again, keep=True)
    document = json.loads(paths[0].read_text())
    assert list(document["parts"]) == ["throughput", "memory"]
    assert document["parts"]["throughput"]["summary"][0]["rows"]["share"] == 0.4
    assert document["parts"]["memory"]["load"] == 3.0
    assert "## Throughput" in paths[1].read_text()
    with pytest.raises(SystemExit, match="is of a a processor"):
        report.write(tmp_path, MACHINE | {"processor": "another"}, again, keep=True)


def test_the_kernel_counts_who_opens_what(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text("x")
    opens = Opens(tmp_path)
    assert opens.names() == set()
    pa.memory_map(str(tmp_path / "one")).close()
    (tmp_path / "two").read_text()
    (tmp_path / "three").stat()
    assert opens.names() == {"one", "two"}


def test_rows_depend_on_where_a_shard_begins() -> None:
    table = rows_of(100, 2_000)
    assert table.equals(rows_of(100, 2_000))
    assert table.num_columns == loader_job.COLUMNS == 40
    assert table["row"].to_pylist() == list(range(100, 2_100))
    kinds = [str(field.type) for field in table.schema]
    assert (kinds.count("float"), kinds.count("int32"), kinds.count("uint8")) == (20, 19, 1)
    assert max(table["c00"].to_pylist()) == CARDINALITIES[0] - 1


def test_a_peer_that_is_not_installed_says_how_it_would_be() -> None:
    nowhere = Peer("x", "loader_x", "no_such_module", "no-such-package", "other")
    assert missing(nowhere, {}) == (
        "not installed: no-such-package; in an environment of its own, --peer-python other=PYTHON"
    )
    assert missing(Peer("x", "loader_x", "json", "json", "other"), {"other": sys.executable}) == ""
    assert missing(nowhere, {"other": "/no/such/python"}) == "/no/such/python: No such file or directory"
    folder = Path(loader_job.__file__).parent
    assert {peer.module for peer in PEERS} == {path.stem for path in folder.glob("loader_*.py")} - {"loader_job"}


def test_by_hand_every_row_comes_once_and_a_rest_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table({"row": pa.array(range(1_000), pa.int32())}), path, row_group_size=100)
    file = pq.ParquetFile(path)
    groups = [(file, number) for number in range(10)]
    batches = list(loader_pyarrow.shuffled(groups, 300, random.Random(1)))
    assert [len(batch["row"]) for batch in batches] == [300, 300, 300]
    rows = [row for batch in batches for row in batch["row"].tolist()]
    assert len(set(rows)) == 900
    assert rows != sorted(rows)


def test_batches_are_taken_until_the_time_or_the_epochs_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(loader_job, "COLUMNS", 1)
    monkeypatch.setattr(loader_job, "GROUP", 2)

    def batches(_: int) -> Iterator[dict[str, Any]]:
        yield {"row": torch.tensor([0, 1, 2])}
        yield {"row": torch.tensor([3, 4, 5])}

    assert loader_job.loaded(batches, 3, 60.0, 2)["rows"] == 12
    found = loader_job.loaded(batches, 3, 0.0, 2)
    assert (found["rows"], found["groups"], found["batch"]) == (3, 2, 3)
    assert found["seconds"] >= found["first_batch_s"] > 0
    with pytest.raises(AssertionError, match=r"row is \(3,\)"):
        loader_job.loaded(batches, 4, 60.0, 1)


@pytest.mark.slow
def test_small_datasets_are_published_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--rows", "5000", "--ctr-rows", "0", "--shards", "3", "--rounds", "1", "--epochs", "2"]
    folders = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--update"]
    assert command.main(["--only", "throughput", "first", *sizes, *folders]) == 0
    parts = json.loads((tmp_path / "out" / "loader.json").read_text())["parts"]
    (sides,) = parts["throughput"]["summary"]
    assert list(sides) == ["raw decode", "rows", "blocks", "no shuffle"]
    assert all(side["seconds"] > 0 for side in sides.values())
    assert (parts["first"]["summary"]["shards_opened_before"], parts["first"]["summary"]["shards_opened"]) == (0, 3)
    assert str(tmp_path) not in (tmp_path / "out" / "loader.json").read_text()
    assert (tmp_path / "out" / "loader.md").read_text().strip() in capsys.readouterr().out
