"""The training job of examples/dlrm: two processes, killed and resumed, with the losses of one that was not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headrace.pipelines.build import build
from headrace.pipelines.model import Pipeline, Source
from headrace.pipelines.options import RunOptions

JOB = Path(__file__).parents[2] / "examples" / "dlrm" / "train.py"
STEPS = 30
BATCH = 256


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A published dataset whose label depends on a number and on a category."""
    folder = tmp_path
    draw = np.random.default_rng(5)
    rows = STEPS * BATCH * 2
    number, category = draw.normal(size=rows), draw.integers(0, 40, rows)
    label = draw.random(rows) < 1 / (1 + np.exp(-(number + (category % 5 - 2))))
    (folder / "source").mkdir()
    frame = pl.DataFrame({"id": range(rows), "x": number, "c": [f"v{c}" for c in category], "y": label.astype(int)})
    frame.write_parquet(folder / "source" / "rows.parquet")
    pipeline = Pipeline.model_validate(
        {
            "name": "clicks",
            "source": Source(path="*.parquet", root=str(folder / "source")),
            "contract": {
                "name": "clicks",
                "columns": [
                    {"name": "id", "dtype": "Int64"},
                    {"name": "x", "dtype": "Float64"},
                    {"name": "c", "dtype": "String"},
                    {"name": "y", "dtype": "Int64"},
                ],
                "primary_key": ["id"],
            },
            "steps": [{"Standardize": {"columns": ["x"]}}, {"Categorify": {"columns": ["c"]}}],
            "split": {"by": "hash", "columns": ["id"], "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}},
            "target": "y",
        }
    )
    build(pipeline, RunOptions(catalog=str(folder / "published"), engine="cpu"))
    return folder / "published" / "clicks"


def start(dataset: Path, checkpoint: Path) -> list[subprocess.Popen[str]]:
    """Two processes of one job, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    words = [str(dataset), "--checkpoint", str(checkpoint), "--epochs", "2", "--save-every", "7"]
    words += ["--batch-size", str(BATCH), "--learning-rate", "0.1"]
    return [
        subprocess.Popen(
            [sys.executable, str(JOB), *words],
            env={**os.environ, **shared, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]


def finished(processes: list[subprocess.Popen[str]]) -> str:
    """What the first of them printed. Fails if one of them did."""
    try:
        printed = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], printed
    return printed[0]


def losses(checkpoint: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in checkpoint.with_suffix(".jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


@pytest.mark.slow
def test_a_job_that_was_killed_goes_on_with_the_losses_it_would_have_had(dataset: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    printed = finished(start(dataset, whole))
    expected = losses(whole)
    steps = len(expected)
    assert [step for step, _ in expected] == list(range(1, steps + 1))

    processes = start(dataset, cut)
    log, until = cut.with_suffix(".jsonl"), time.monotonic() + 300
    while not (log.exists() and log.read_text().count("\n") >= steps // 2 + 3):
        assert time.monotonic() < until
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.01)
    for process in processes:
        process.kill()
        process.communicate()
    assert steps // 2 < len(losses(cut)) < steps

    resumed = finished(start(dataset, cut))
    assert "goes on after step " in resumed
    assert losses(cut) == expected
    # What was learned is in the data: the best possible AUC of these rows is about 0.87.
    aucs = [line.split()[1:] for line in printed.splitlines() if line.startswith("dlrm")]
    assert all(float(value) > 0.8 for value in aucs[0])
    assert resumed.splitlines()[-1] == printed.splitlines()[-1]
    words = [sys.executable, str(JOB), str(dataset), "--checkpoint", str(whole), "--epochs", "2"]
    again = subprocess.run([*words, "--batch-size", str(BATCH)], capture_output=True, text=True, check=True).stdout
    assert "epoch 1 was finished before" in again
    assert losses(whole) == expected

    with np.load(cut, allow_pickle=False) as saved:  # no pickle in it
        said = json.loads(saved["said"].tobytes())
        assert all(saved[name].dtype.kind in "fiu" for name in saved.files)
    assert (said["loader"]["epoch"], said["loader"]["step"]) == (1, steps // 2)
