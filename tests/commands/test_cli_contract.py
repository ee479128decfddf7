from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from click.testing import Result

from headrace.schemas.odcs import load_contract


def test_infer_drafts_a_contract_that_can_be_loaded(invoke: Callable[..., Result], tmp_path: Path) -> None:
    pl.DataFrame({"id": [1, 2], "price": [1.5, 2.5]}).write_parquet(tmp_path / "sales.parquet")
    printed = invoke("contract", "infer", "sales.parquet")
    assert printed.exit_code == 0
    result = invoke("contract", "infer", "sales.parquet", "-o", "sales.odcs.yaml")
    assert result.stdout == "sales.odcs.yaml\n"
    assert (tmp_path / "sales.odcs.yaml").read_text().rstrip() == printed.stdout.rstrip()
    assert load_contract(tmp_path / "sales.odcs.yaml").names == ["id", "price"]
    again = invoke("contract", "infer", "sales.parquet", "-o", "sales.odcs.yaml")
    assert again.exit_code == 4


def test_infer_of_nothing_is_an_error(invoke: Callable[..., Result]) -> None:
    result = invoke("contract", "infer", "none.parquet")
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("error[")


def test_several_files_name_the_contract_after_their_folder(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    for month in ("01", "02"):
        pl.DataFrame({"id": [1, 2]}).write_parquet(tmp_path / "sales" / f"2025-{month}.parquet")
    given = (("sales/2025-01.parquet", "sales/2025-02.parquet"), ("sales/*.parquet",), ("sales",))
    for files in given:
        assert "\nname: sales\n" in invoke("contract", "infer", *files).stdout
    assert "\nname: 2025-01\n" in invoke("contract", "infer", "sales/2025-01.parquet").stdout
