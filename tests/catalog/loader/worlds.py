"""Splits cut into row groups and shards at random, and what ranks of a world get of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from headrace.catalog.arrow_schema import arrow_fields, fingerprint
from headrace.catalog.build import new_build
from headrace.catalog.commit import publish
from headrace.catalog.loader.order import Order
from headrace.catalog.loader.plan import Plan, Share
from headrace.catalog.manifest import Manifest, Producer, Split
from headrace.catalog.place import Place
from headrace.catalog.reader import Dataset, open_dataset
from headrace.catalog.records import File
from headrace.catalog.shards import shard_path

SHUFFLES: Final = ("rows", "blocks", False)
TAILS: Final = (True, False, "pad")

groups = st.lists(st.integers(0, 60), min_size=1, max_size=12)
"""Rows of the row groups of a split."""

orders = st.builds(
    lambda lanes, rows, shuffle, seed, drop_last: Order(lanes * rows, lanes, shuffle, seed, drop_last),
    st.sampled_from([1, 2, 3, 4, 6, 8]),
    st.integers(1, 40),
    st.sampled_from(SHUFFLES),
    st.integers(0, 3),
    st.sampled_from(TAILS),
)


def worlds_of(lanes: int) -> list[int]:
    return [size for size in range(1, lanes + 1) if lanes % size == 0]


def read(share: Share, plan: Plan, step: int = 0) -> list[list[npt.NDArray[np.int64]]]:
    """The published numbers of the rows of each step from `step` on, by slot: the plan carried out without a file."""
    starts = np.concatenate([[0], np.cumsum(plan.groups)])
    slots = np.full((share.slots, share.steps * share.width), -1, np.int64)
    for task in share.tasks(step):
        rows = np.arange(plan.groups[task.group], dtype=np.int64)[share.picked(task)] + starts[task.group]
        place = slice(task.begin, task.begin + len(rows))
        assert (slots[task.slot, place] == -1).all()
        slots[task.slot, place] = rows
    steps = slots.reshape(share.slots, share.steps, share.width)
    found = []
    for number in range(step, share.steps):
        valid = share.valid(number)
        for slot, rows in enumerate(valid):
            assert (steps[slot, number, :rows] >= 0).all()
            assert (steps[slot, number, rows:] == -1).all()
        found.append([steps[slot, number, :rows] for slot, rows in enumerate(valid)])
    return found


PLAIN: Final[dict[str, Any]] = {"compression": "none", "use_dictionary": False, "data_page_version": "1.0"}
"""How shards are written: numbers lie in them as in memory. What follows from it is read into place, not decoded."""

ENCODED: Final[dict[str, Any]] = {"compression": "snappy", "use_dictionary": True}
"""Arrow has to decode all of it."""

PAGES: Final = PLAIN | {"data_page_size": 64, "write_batch_size": 8}
"""Eight rows a page."""

layouts = st.sampled_from([PLAIN, PAGES, ENCODED, PLAIN | {"use_dictionary": ["id"]}])


def published(
    root: Path | str,
    *shards: tuple[pa.Table, Sequence[int]],
    required: bool = True,
    layout: Mapping[str, Any] = PLAIN,
    older: Dataset | None = None,
) -> Dataset:
    """A new version with a split `train`, a shard for each table cut into row groups of so many rows, and `empty`.

    Parameters
    ----------
    layout
        What Arrow's writer is told.
    older
        Whose shards come first and stay where they are.
    """
    build = new_build(root, "demo")
    schema = pa.schema([field.with_nullable(not required) for field in shards[0][0].schema])
    files = [] if older is None else [_lying(older, file) for file in older.manifest.splits["train"].files]
    for number, (table, cuts) in enumerate(shards):
        path = build.path / shard_path("train", number)
        path.parent.mkdir(exist_ok=True)
        with pq.ParquetWriter(path, schema, **{"write_page_checksum": True, **layout}) as writer:
            start = 0
            for rows in cuts:
                writer.write_table(table.slice(start, rows).cast(schema), row_group_size=max(rows, 1))
                start += rows
        assert start == table.num_rows
        described = build.add_file(shard_path("train", number))
        files.append(File(**described.model_dump(), rows=table.num_rows, row_groups=tuple(cuts)))
    fields = arrow_fields(schema)
    manifest = Manifest(
        dataset="demo",
        build=build.id,
        created_at="2026-03-01T09:30:00Z",
        producer=Producer(headrace="0.1.0", python="3.11.9", polars="1.44.2"),
        arrow_schema=fields,
        schema_fingerprint=fingerprint(fields),
        splits={
            "train": Split(rule="all", rows=sum(file.rows for file in files), files=tuple(files)),
            "empty": Split(rule="none", rows=0),
        },
    )
    return open_dataset(Place.of(root) / "demo", publish(root, "demo", build, manifest).version)


def _lying(older: Dataset, file: File) -> File:
    """A shard of another version as the manifest of a later one lists it."""
    return file.model_copy(update={"build": older.build_of(file)})
