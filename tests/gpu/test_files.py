"""The file kernels on a device, by the tests that `make test` runs with the imitation of pylibcudf."""

from __future__ import annotations

import importlib
import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest

PARQUET = (
    "test_both_bodies_write_the_same_rows_and_types",
    "test_both_bodies_give_the_same_levels_and_statistics",
    "test_columns_are_encoded_as_the_layout_says",
    "test_row_groups_have_the_rows_that_they_are_to_have",
    "test_row_groups_may_be_smaller_than_libcudfs_fragments",
    "test_no_rows_are_a_file",
    "test_nulls_are_refused_as_on_the_cpu_and_nothing_is_written",
    "test_null_items_in_rows_of_others_do_not_matter",
    "test_all_bytes_go_through_the_sink_once_and_in_order",
    "test_what_the_sink_raises_is_raised",
    "test_the_footer_holds_arrows_schema_alone",
)
PIECES = (
    "test_a_bucket_is_its_rows_of_every_piece_in_order",
    "test_every_type_comes_back_on_both_engines",
    "test_a_piece_without_rows_keeps_its_columns",
    "test_buckets_may_be_any_integers",
    "test_both_engines_read_what_either_has_written",
    "test_a_row_group_holds_one_bucket_and_nothing_is_compressed",
    "test_a_large_bucket_is_read_whole",
    "test_rows_of_a_range_out_of_files_of_both_kinds",
    "test_answers_have_the_statistics_that_a_range_is_found_by",
    "test_nothing_but_the_whole_file_is_left",
)


@pytest.mark.parametrize("name", PARQUET)
def test_parquet(name: str, tmp_path: Path) -> None:
    run("tests.engines.gpu.test_parquet", name, tmp_path)


@pytest.mark.parametrize("name", PIECES)
def test_pieces(name: str, tmp_path: Path) -> None:
    run("tests.engines.gpu.test_pieces", name, tmp_path)


def run(module: str, name: str, folder: Path) -> None:
    """A test of another module, without its fixtures, with every set of its parameters and a folder for each."""
    test = getattr(importlib.import_module(module), name)
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for number, chosen in enumerate(itertools.product(*(_sets(mark) for mark in marks))):
        arguments = {k: v for one in chosen for k, v in one.items()}
        if "tmp_path" in inspect.signature(test).parameters:
            arguments["tmp_path"] = folder / str(number)
            arguments["tmp_path"].mkdir()
        test(**arguments)


def _sets(mark: pytest.Mark) -> list[dict[str, Any]]:
    names, sets = mark.args[0], mark.args[1]
    names = [names] if isinstance(names, str) else list(names)
    return [dict(zip(names, values if len(names) > 1 else [values], strict=True)) for values in sets]
