from __future__ import annotations

import re

import pytest

from headrace.commands.progress import StageBars, StageLines, stage_progress


def test_elsewhere_than_on_a_terminal_a_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress(quiet=False) as progress:
        assert isinstance(progress, StageLines)
        progress.start("fit", 2_000)
        progress.advance("fit", 1_500)
        progress.advance("fit", 500)
        progress.finish("fit")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"fit +0\.\d s +2,000 rows( .*)?\n", captured.err)


def test_quiet_is_no_display() -> None:
    with stage_progress(quiet=True) as progress:
        assert progress is None


def test_bars_end_full_even_if_fewer_rows_came() -> None:
    import io

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=io.StringIO(), force_terminal=True)) as bars:
        progress = StageBars(bars)
        progress.start("apply", 100)
        progress.advance("apply", 60)
        progress.finish("apply")
        progress.start("report", 0)
        progress.finish("report")
        assert [task.finished for task in bars.tasks] == [True, True]
