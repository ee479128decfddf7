"""The sample data of the tpch pipeline: what tpchgen-cli makes, and what is said where it cannot."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import polars as pl
import pytest

from headrace.pipelines.gallery.tpch import sample as module
from headrace.pipelines.gallery.tpch.pipeline import pipeline
from headrace.pipelines.gallery.tpch.sample import TABLES, cached_sample, write_sample
from headrace.schemas.errors import CapabilityError, UsageError
from headrace.schemas.footers import read_footer


@pytest.mark.slow
def test_five_tables_are_written_and_used_again(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "sample", scale_factor=0.001)
    assert sorted(path.name for path in folder.glob("*.parquet")) == sorted(f"{table}.parquet" for table in TABLES)
    rows = {table: pl.scan_parquet(folder / f"{table}.parquet").select(pl.len()).collect().item() for table in TABLES}
    assert rows == {"lineitem": 6005, "orders": 1500, "customer": 150, "part": 200, "supplier": 10}
    assert pipeline.contract.dtypes == read_footer(folder / "lineitem.parquet").schema
    written = (folder / "orders.parquet").stat().st_mtime_ns
    write_sample(folder, scale_factor=0.001)
    assert (folder / "orders.parquet").stat().st_mtime_ns == written
    write_sample(folder, scale_factor=0.002)
    assert pl.scan_parquet(folder / "orders.parquet").select(pl.len()).collect().item() == 3000


def test_the_cache_holds_the_default_scale_factor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "_generate", lambda folder, scale_factor: (folder / f"{scale_factor}").touch())
    folder = cached_sample()
    assert folder == tmp_path / "headrace" / "tpch-1"
    assert (folder / "0.05").exists()


@pytest.mark.parametrize("scale_factor", [0.0, -1.0, float("nan")])
def test_a_scale_factor_that_makes_no_sense_is_refused(scale_factor: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected more than 0"):
        write_sample(tmp_path / "sample", scale_factor=scale_factor)


def test_without_the_program_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(CapabilityError, match="tpchgen-cli, which is not installed") as caught:
        write_sample(tmp_path / "sample")
    assert caught.value.hint.startswith("pip install 'headrace[demo]'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'error: unknown command parquet' >&2; exit 2", "status 2: error: unknown command parquet"),
        ("exit 0", "status 0: it wrote no lineitem, orders, customer, part, supplier"),
    ],
)
def test_a_program_that_fails_is_quoted(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tpchgen-cli"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(module, "_program", lambda: os.fspath(program))
    with pytest.raises(CapabilityError, match=said):
        write_sample(tmp_path / "sample")
    assert not (tmp_path / "sample").exists()
