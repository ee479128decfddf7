"""Patterns that both engines read alike go to libcudf; all others are refused, so that a step runs on the CPU."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("cudf_polars", reason="needs the RAPIDS packages, which need no GPU here")

from tests.engines.gpu.dialect.libcudf import translated

from headrace.engines.gpu.dialect.patterns import as_libcudf
from headrace.engines.translation import untranslatable

TEXT = pl.LazyFrame(schema={"t": pl.String})


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("([0-9]+)", "([0-9]+)"),
        ("^[A-Z][0-9A-Z]{4,5}$", "^[A-Z][0-9A-Z]{4,5}\\Z"),
        ("a.b", "a.b"),
        ("a|bc|d", "a|bc|d"),
        ("(a|b)-(?:c|d)", "(a|b)-(?:c|d)"),
        (r"\.\$$", r"\.\$\Z"),
        ("[^/\\]]*?x{2,}?", "[^/\\]]*?x{2,}?"),
        ("[é日]", "[é日]"),
    ],
)
def test_what_means_the_same(pattern: str, written: str) -> None:
    assert as_libcudf(pattern) == written


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d", r"\w+", r"\s", r"\bx", r"\x41", r"\p{L}", r"\A", r"\z", "(?i)a", "(?m)^a", "(?P<n>a)", "", "^", "$",
        "^$", "a$b", "a^", "(^a)", "(a$)", "a|b$", "^a|b", "(a)|b", "((a)b)", "(a)*", "(?:ab)+", "a**", "*a",
        "^*", "a{1000}",
        "a{,3}", "a{", "{", "[a-]", "[]a]", "[[:alpha:]]", "[a[b]]", "(", ")", "a)", "()", "(a|)", "|a", "a||b",
    ],
)  # fmt: skip
def test_what_may_mean_something_else(pattern: str) -> None:
    with pytest.raises(NotImplementedError, match="libcudf may read"):
        as_libcudf(pattern)


@pytest.mark.parametrize(
    "expression",
    [
        pl.col("t").str.extract("(b)$"),
        pl.col("t").str.contains("b$"),
        pl.col("t").str.count_matches("b$"),
        pl.col("t").str.find("b$"),
    ],
    ids=["extract", "contains", "count", "find"],
)
def test_searches_are_given_what_libcudf_wants(expression: pl.Expr) -> None:
    assert untranslatable(TEXT.select(expression)) == []
    [node] = [n for n in translated(TEXT.select(expression)) if type(n).__name__ == "StringFunction"]
    assert node.children[1].value.endswith(r"\Z") or node.children[1].value == r"(b)\Z"


def test_a_text_is_no_pattern() -> None:
    searches = [pl.col("t").str.contains("$(", literal=True), pl.col("t").str.find("$(", literal=True)]
    assert untranslatable(TEXT.select(e.alias(str(i)) for i, e in enumerate(searches))) == []


@pytest.mark.parametrize("expression", [pl.col("t").str.extract(r"(\d)"), pl.col("t").str.extract_groups("(a)(b)?")])
def test_what_differs_does_not_translate(expression: pl.Expr) -> None:
    assert untranslatable(TEXT.select(expression)) != []
