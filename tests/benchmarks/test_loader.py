"""The benchmark of the loader: what it makes of figures, and the pieces that take them, at small sizes."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.loader import __main__ as command
from benchmarks.loader import asked as asked_module
from benchmarks.loader import figures, page, parts, report
from benchmarks.loader.alone import Opens
from benchmarks.loader.asked import Asked
from benchmarks.loader.data import CARDINALITIES, rows_of
from benchmarks.loader.peers import PEERS, Peer, missing
from benchmarks.measure import CommandFailed
from benchmarks.peers import loader_job, loader_pyarrow

MACHINE = {"processor": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux", "packages": {"torch": "2"}}
DATA = {"name": "wide", "rows": 4_000_000, "columns": 40, "shards": 4, "mb": 600.0, "about": "numbers"}


def ran(*seconds: float) -> list[dict[str, Any]]:
    """Epochs of a process, which take twice as many CPU seconds."""
    return [
        {
            "seconds": s,
            "cpu_seconds": 2 * s,
            "server_cpu_seconds": s / 2,
            "resident_mb": 100 + s,
            "anonymous_mb": 50 + s,
            "peak_mb": 120.0 + s,
            "most_anonymous_mb": 70.0 + s,
            "load": 1.0,
        }
        for s in seconds
    ]


def peer(rows: int, seconds: float, first: float = 0.5, batch: int = 1_000) -> dict[str, Any]:
    found = {"rows": rows, "seconds": seconds, "first_batch_s": first, "batch": batch, "cpu_seconds": 2 * seconds}
    return found | {"version": "1.0", "groups": 3, "peak_mb": 200.0, "load": 1.0, "prepare_s": 7.0}


FIRST = {"loader_ms": 2.0, "batch_ms": 3.0, "shards_opened_before": 0, "shards_opened": 2}

FOUND: dict[str, Any] = {
    "throughput": {
        "load": 1.0,
        "cases": [
            {
                "data": DATA,
                "runs": {
                    "raw decode": [ran(0.5, 0.20, 0.30), ran(0.7, 0.20, 0.20)],
                    "rows": [ran(1.0, 0.50, 0.50), ran(0.8, 0.40, 2.00)],
                    "blocks": [ran(1.0, 0.20, 0.40), ran(0.8, 0.25, 0.25)],
                },
            }
        ],
    },
    "memory": {"load": 1.0, "data": DATA, "runs": {"rows": {"before": ran(0)[0], "epochs": ran(1.0, 2.0, 5.0)}}},
    "first": {
        "load": 1.0,
        "data": DATA,
        "runs": [{"open_ms": ms, "all_ms": 200 * ms, **FIRST} for ms in (5.0, 1.0, 9.0)],
    },
    "s3": {
        "load": 1.0,
        "data": DATA,
        "servers": [
            {
                "server": "moto",
                "runs": {
                    "store": [ran(2.0, 2.0), ran(1.0, 1.0)],
                    "no cache": [ran(4.0, 4.0), ran(4.0, 4.0)],
                    "empty cache": [ran(8.0, 0.5), ran(8.0, 0.5)],
                    "full cache": [ran(1.0, 0.5), ran(1.0, 0.5)],
                    "local": [ran(0.6, 0.4), ran(1.0, 0.6)],
                },
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


def test_shares_are_of_the_raw_decoding_of_the_same_turn() -> None:
    (sides,) = figures.throughput(FOUND["throughput"])
    rows = sides["rows"]  # shares of 0.1, 0.4, 0.5 and 0.6, without the first epochs
    assert rows["share"] == pytest.approx(0.45)
    assert (rows["share_from"], rows["share_to"], rows["pairs"]) == (pytest.approx(0.1), pytest.approx(0.6), 4)
    assert rows["share_of_least"] == pytest.approx(0.2 / 0.4)
    assert rows["cpu_share"] == pytest.approx(0.45)
    assert rows["seconds"] == pytest.approx(0.5)
    assert rows["mrows_per_s"] == pytest.approx(8.0)
    assert rows["first_epoch_s"] == pytest.approx(0.9)
    assert sides["raw decode"]["share"] == 1


def test_of_eight_shares_the_middle_half_stands_beside_the_median() -> None:
    raw = ran(9.0, *[1.0] * 8)
    one = ran(9.0, *[1 / share for share in (8, 1, 2, 7, 3, 6, 5, 4)])
    case = {"data": DATA, "runs": {"raw decode": [raw], "rows": [one]}}
    rows = figures.throughput({"cases": [case]})[0]["rows"]
    assert (rows["share"], rows["share_from"], rows["share_to"]) == pytest.approx((4.5, 2, 7))


def test_memory_grows_from_the_second_epoch_on() -> None:
    assert figures.memory(FOUND["memory"])["rows"] == {
        "grew_resident_mb": 3.0,
        "grew_anonymous_mb": 3.0,
        "peak_mb": 125.0,
        "most_anonymous_mb": 75.0,
    }


def test_a_first_batch_is_a_median() -> None:
    assert figures.first(FOUND["first"]) == {"open_ms": 5.0, "all_ms": 1_000.0, **FIRST}


def test_stores_are_compared_with_themselves_and_with_files_epoch_by_epoch() -> None:
    moto = figures.s3(FOUND["s3"])["moto"]
    assert moto["no cache"]["first_of_store"] == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert moto["no cache"]["first_of_local"] == pytest.approx((0.6 / 4 + 1.0 / 4) / 2)
    assert moto["empty cache"]["second_of_local"] == pytest.approx((0.4 / 0.5 + 0.6 / 0.5) / 2)
    assert moto["store"]["first_server_cpu_s"] == pytest.approx(0.75)


def test_peers_are_beside_headrace() -> None:
    found = figures.peers(FOUND["peers"])
    assert found["headrace"]["rows_per_s"] == pytest.approx(3_000)
    assert found["other"]["later_rows_per_s"] == pytest.approx(3_000 / 8.0)
    assert found["other"]["headrace_is"] == pytest.approx(3_000 * 8.5 / 4_000)
    assert found["other"]["cpu_s_per_mrow"] == pytest.approx(4_250)
    assert found["slow"]["later_rows_per_s"] == 0


def test_aims_that_are_missed_are_bold_and_who_is_left_out_is_named() -> None:
    text = report.text(MACHINE, FOUND)
    assert "| `rows` | 0.500 | 8.0 | 45% (10%-60%) | 50% | 1.000 | 45% | 0.900 | 35% |" in text
    assert "| `blocks` | 0.250 | 16.0 | 80% (75%-100%) | 100% | 0.500 | 80% | 0.900 | 60% |" in text
    assert "| `rows` | 100 (50) | 101 (51) | 102 (52) | 105 (55) | 125 (75) | +3 (+3) |" in text
    assert "| together | 1000 | |" in text
    assert (
        "| the loader without a cache | 4.00 s, 150 MB/s | 38% | **20%** | 8.00 | 2.00 | 4.00 s, 150 MB/s | **12%** |"
        in text
    )
    assert "| the loader, a full cache, a new process | 1.00 s, 600 MB/s |  | 80% | 2.00 | 0.50 |" in text
    assert "| other | 1.0 | 1,000 | 7.0 | 0.50 | 0.000471 | 0.000375 | 6.4 x | 4,250 | 3 | 200 | 1.0 |" in text
    assert "Not measured: LitData: not installed: litdata." in text
    slow = FOUND["throughput"] | {"cases": [{"data": DATA, "runs": {"raw decode": [ran(9, 1)], "rows": [ran(9, 4)]}}]}
    assert "| 25% | 9.000 | **35%** |" in report.text(MACHINE, {"throughput": slow})


def test_parts_that_are_measured_anew_take_the_place_of_theirs(tmp_path: Path) -> None:
    both = {name: FOUND[name] for name in ("throughput", "memory")}
    report.write(tmp_path, MACHINE, both, keep=False)
    again = {"memory": FOUND["memory"] | {"load": 3.0}}
    paths = report.write(tmp_path, MACHINE, again, keep=True)
    document = json.loads(paths[0].read_text())
    assert list(document["parts"]) == ["throughput", "memory"]
    assert document["parts"]["throughput"]["summary"][0]["rows"]["share"] == 0.45
    assert document["parts"]["memory"]["load"] == 3.0
    assert "## Throughput" in paths[1].read_text()
    with pytest.raises(SystemExit, match=r"the processor of loader\.json is a processor, and this is another"):
        report.write(tmp_path, MACHINE | {"processor": "another"}, again, keep=True)
    paths[0].write_text(json.dumps(document | {"schema_version": 1}))
    with pytest.raises(SystemExit, match="the form of"):
        report.write(tmp_path, MACHINE, again, keep=True)


STORE = "**20%** without a cache, **10%** filling one, 80% with one"


def test_the_figures_of_a_page_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    there = tmp_path / "performance.md"
    there.write_text(f"# Before\n\n{page.BEGIN}\nold\n{page.END}\n\nafter\n")
    for _ in range(2):
        report.write(tmp_path, MACHINE, FOUND, keep=False, performance=there)
    assert (
        there.read_text()
        == f"""# Before

{page.BEGIN}

| shuffle | wide: Mrow/s | share of raw | in CPU seconds | aim |
|---|--:|--:|--:|--:|
| raw decode | 20.0 | 100% | 100% |  |
| `rows` | 8.0 | 45% | 45% | 35% |
| `blocks` | 16.0 | 80% | 80% | 60% |

| | measured | aim |
|---|---|--:|
| MB held after each of 3 epochs, `rows` | 101, 102, 105 | flat |
| the first batch of 4 shards | 1,000 ms; 0 shards opened before it, 2 for it | 1,000 ms |
| first epoch from moto (400 MB/s), of one from disk | {STORE} | 70% |

| loader, of the same rows | batch | Mrow/s | headrace is | row groups in a batch | peak MB |
|---|--:|--:|--:|--:|--:|
| headrace | 1,000 | 0.003 | 1.0 x | 3 | 200 |
| other | 1,000 | 0.000471 | 6.4 x | 3 | 200 |
| slow | 1,000 | 0.000111 | 27.0 x | 3 | 200 |

{page.END}

after
"""
    )
    with pytest.raises(ValueError, match="no place"):
        page.replaced("# Before\n", {})


def test_the_page_on_performance_has_the_figures_of_the_result() -> None:
    document = json.loads((command.RESULTS / "loader.json").read_text())
    there = command.PAGE.read_text()
    assert page.replaced(there, document["parts"]) == there
    assert report.text(document["machine"], document["parts"]) == (command.RESULTS / "loader.md").read_text()


def test_the_kernel_counts_who_opens_what(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text("x")
    opens = Opens(tmp_path)
    assert opens.names() == set()
    pa.memory_map(str(tmp_path / "one")).close()
    (tmp_path / "two").read_text()
    (tmp_path / "three").stat()
    assert opens.names() == {"one", "two"}


_ECHO = """
import json, sys
job = json.loads(sys.argv[1])
print(json.dumps({"anonymous_mb": 1.0}), flush=True)
for number, _ in enumerate(sys.stdin):
    if number == job["ends"]:
        sys.exit("no luck")
    print(json.dumps({"name": job["name"], "number": number, "anonymous_mb": 2e6}), flush=True)
"""


def test_sides_take_turns_and_one_that_ends_says_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(asked_module, "COMMAND", (sys.executable, "-I", "-S", "-c", _ECHO))
    answer = Asked.ask
    monkeypatch.setattr(Asked, "ask", lambda self: asked.append(self.job["name"]) or answer(self))
    found = parts.in_turns({name: {"name": name, "ends": 3} for name in ("one", "two")}, 3)
    assert asked == ["one", "two"] * 3
    assert [epoch["number"] for epoch in found["two"]] == [0, 1, 2]
    assert {epoch["name"] for epoch in found["two"]} == {"two"}
    assert found["one"][0]["most_anonymous_mb"] == 2e6
    with pytest.raises(CommandFailed, match=r"(?s)status 1.*no luck"):
        parts.in_turns({"one": {"name": "one", "ends": 0}}, 1)


def test_rows_depend_on_where_a_shard_begins() -> None:
    table = rows_of(100, 50)
    assert table.equals(rows_of(100, 50))
    assert table.num_columns == loader_job.COLUMNS == 40
    assert table["row"].to_pylist() == list(range(100, 150))
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
def test_small_datasets_are_published_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)  # no other store than moto's
    sizes = [
        "--rows",
        "5000",
        "--some-rows",
        "4000",
        "--ctr-rows",
        "0",
        "--shards",
        "3",
        "--rounds",
        "1",
        "--epochs",
        "2",
    ]
    folders = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--update"]
    assert command.main(["--only", "throughput", "first", "s3", *sizes, *folders]) == 0
    found = json.loads((tmp_path / "out" / "loader.json").read_text())["parts"]
    (sides,) = found["throughput"]["summary"]
    assert list(sides) == ["raw decode", "rows", "blocks", "no shuffle", "rows, matrices", "blocks, matrices"]
    assert all(side["seconds"] > 0 and side["pairs"] == 1 for side in sides.values())
    assert (found["first"]["summary"]["shards_opened_before"], found["first"]["summary"]["shards_opened"]) == (0, 3)
    assert list(found["s3"]["summary"]["moto"]) == ["store", "no cache", "empty cache", "full cache", "local"]
    assert all(run[0]["server_cpu_seconds"] > 0 for run in found["s3"]["servers"][0]["runs"]["empty cache"])
    assert str(tmp_path) not in (tmp_path / "out" / "loader.json").read_text()
    assert (tmp_path / "out" / "loader.md").read_text().strip() in capsys.readouterr().out
