from __future__ import annotations

from headrace.commands.layout import bytes_in_words, moment, seconds_in_words, table


def test_numbers_align_right_and_text_left() -> None:
    rows = [["train", 12_000, 0.5], ["validation", 8, None]]
    assert table(rows, ["split", "rows", "auc"]).splitlines() == [
        "split         rows     auc",
        "train       12,000  0.5000",
        "validation       8       -",
    ]


def test_no_rows_no_table() -> None:
    assert table([], ["split"]) == ""


def test_sizes_and_times() -> None:
    assert [bytes_in_words(n) for n in (0, 1023, 1024, 5 << 20, 3 << 40)] == [
        "0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 TiB",
    ]  # fmt: skip
    assert [seconds_in_words(s) for s in (0.04, 59.94, 59.96, 3600)] == ["0.0 s", "59.9 s", "1 min 0 s", "1 h 0 min"]
    assert moment("2026-03-01T12:30:59.123456Z") == "2026-03-01 12:30:59"
