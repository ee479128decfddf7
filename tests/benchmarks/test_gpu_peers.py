"""The logic of the scripts for cuDF and dask-cudf, run over pandas: they compute what the Polars script computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import dask
import polars as pl
import pytest
from benchmarks import gpu_ctr
from benchmarks.crosscheck import compare
from benchmarks.gpu.facts import Stages
from benchmarks.peers import polars_script

pytest.importorskip("pandas")

from tests.benchmarks.pandas_as_cudf import scripts


@pytest.fixture
def peers() -> Iterator[dict[str, ModuleType]]:
    with scripts() as found, dask.config.set(scheduler="synchronous"):
        yield found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ctr")
    gpu_ctr.write_ctr(folder, 5000, seed=2, host=True, file_rows=600)  # nine files: three partitions
    return folder


@pytest.fixture(scope="module")
def expected(source: Path) -> list[Path]:
    target = source.with_name("expected")
    polars_script.main(str(source), str(target))
    return sorted(target.glob("*.parquet"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cudf_script", "dask_cudf_script"])
def test_features_are_those_of_the_polars_script(
    name: str, peers: dict[str, ModuleType], source: Path, expected: list[Path], tmp_path: Path
) -> None:
    stages = Stages()
    peers[name].job(source, tmp_path / "out", stages)
    outputs = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(outputs) == (3 if name == "cudf_script" else 9)
    agreement = compare(expected, outputs)
    assert agreement.rows == (5000, 5000)
    assert agreement.ok
    assert list(stages.seconds) == ["fit", "apply and write"]
    dtypes = pl.read_parquet_schema(outputs[0])
    assert [dtypes[column] for column in ("label", "I13", "C26")] == [pl.Int64, pl.Float32, pl.Int32]


@pytest.mark.parametrize("name", ["cudf_script", "dask_cudf_script"])
def test_ids_at_ties_nulls_and_values_seen_once(name: str, peers: dict[str, ModuleType], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    frame = pl.DataFrame(
        {
            "label": [1, 0, 0, 1, 0, 1],
            "I1": [None, -3, 0, 7, 7, 1],
            "C1": ["b", "a", "b", "a", "only once", None],
            "C2": ["z", "a", "z", "z", "a", None],
        }
    )
    for number in range(6):  # six files are two partitions
        frame[number : number + 1].write_parquet(tmp_path / "in" / f"part-{number}.parquet")
    peers[name].job(tmp_path / "in", tmp_path / "out", Stages())
    result = pl.read_parquet(sorted((tmp_path / "out").glob("*.parquet")))
    assert result["C1"].to_list() == [3, 2, 3, 2, 1, 0]
    assert result["C2"].to_list() == [2, 3, 2, 2, 3, 0]
    assert result["I1"].mean() == pytest.approx(0, abs=1e-7)
    assert result["I1"].std(ddof=0) == pytest.approx(1, abs=1e-6)
    assert result["I1"][0] == result["I1"][1] == result["I1"][2]


def test_counts_are_merged_when_the_new_ones_have_outgrown_the_merged(
    peers: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = peers["cudf_script"]
    sizes: list[int] = []
    merged = script.merged
    monkeypatch.setattr(script, "merged", lambda counts: sizes.append(len(counts)) or merged(counts))
    for number in range(20):  # five partitions of four files, with three values each and one in common
        values = ["same", f"a{number // 4}", f"b{number // 4}"]
        pl.DataFrame({"label": [0] * 3, "I1": [1] * 3, "C1": values}).write_parquet(tmp_path / f"{number:02}.parquet")
    _, known = script.fit(script.partitions(tmp_path), ["I1"], ["C1"])
    assert sizes == [3, 3]  # 3 values and 2 x 3 new ones; then 7 and 2 x 3, with nothing more to come
    assert known["C1"]["value"].tolist() == ["same", *(f"{letter}{n}" for letter in "ab" for n in range(5))]
    assert known["C1"]["id"].tolist() == list(range(2, 13))


def test_the_floor_reads_everything_once_and_leaves_nothing(
    peers: dict[str, ModuleType], source: Path, expected: list[Path], tmp_path: Path
) -> None:
    stages = Stages()
    peers["cudf_floor"].job(source, expected[0].parent, tmp_path / "out", stages)
    assert list(stages.seconds) == ["decode", "encode"]
    assert all(seconds > 0 for seconds in stages.seconds.values())
    assert list((tmp_path / "out").iterdir()) == []
    assert all(path.exists() for path in expected)
