"""Texts, categories and lists, by hand."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.byhand.pair import Pair, near, same_groups

NULL_HASH: Final = 0x9E3779B97F4A7C15
_SMOOTHING: Final = 10.0
_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_P4: Final = np.uint64(0x85EBCA77C2B2AE63)
_P5: Final = np.uint64(0x27D4EB2F165667C5)


def _hash(column: str) -> pl.Expr:
    import polars_hash  # noqa: F401  adds the namespace to expressions

    hashed: pl.Expr = pl.col(column).nchash.xxhash64(seed=0)  # type: ignore[attr-defined]
    return hashed


def _hashed_number(column: str) -> pl.Expr:
    """XXH64 of eight bytes: the specification as NumPy, which Polars has no function for."""

    def hashed(values: pl.Series) -> pl.Series:
        words = values.fill_null(0).to_numpy().view(np.uint64) * _P2
        h = ((words << 31 | words >> 33) * _P1) ^ (_P5 + 8)
        h = (h << 27 | h >> 37) * _P1 + _P4
        h = (h ^ h >> 33) * _P2
        h = (h ^ h >> 29) * _P3
        return pl.Series(h ^ h >> 32)

    value = pl.col(column)
    return pl.when(value.is_not_null()).then(value.map_batches(hashed, return_dtype=pl.UInt64))


def _counts(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    counted = frame.drop_nulls(column).group_by(column).len("count")
    return counted.sort("count", column, descending=[True, False]).collect()


def _crossed(frame: pl.LazyFrame, _: Any) -> pl.LazyFrame:
    import polars_hash  # noqa: F401

    both: Any = pl.concat_str(pl.col("city", "kind").fill_null(""), separator="|")
    return frame.with_columns(crossed=(both.nchash.xxhash64(seed=0) % (2**31 - 1)).cast(pl.Int32))


def _ngrams(frame: pl.LazyFrame, _: Any) -> pl.LazyFrame:
    rows = frame.with_row_index("row")
    words = rows.select("row", word=pl.col("text").str.extract_all(r"\S+")).explode(
        "word", empty_as_null=False, keep_nulls=False
    )
    runs = words.select(
        "row", run=pl.col("word") + " " + pl.col("word").shift(-1), whole=pl.col("row") == pl.col("row").shift(-1)
    ).filter("whole")
    ids = runs.select("row", text_ngrams=(_hash("run") % 1000).cast(pl.Int32))
    lists = ids.group_by("row", maintain_order=True).agg("text_ngrams")
    empty = pl.lit(pl.Series([[]], dtype=pl.List(pl.Int32)))
    return (
        rows.join(lists, on="row", how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("text").is_not_null()).then(pl.col("text_ngrams").fill_null(empty)))
        .drop("row")
    )


def _text_ids(frame: pl.LazyFrame, counts: pl.DataFrame) -> pl.LazyFrame:
    known = pl.Enum(counts["user"])
    place = pl.col("user").cast(known, strict=False).to_physical().cast(pl.Int32)
    return frame.with_columns(
        pl.when(pl.col("user").is_null()).then(1).otherwise((place + 3).fill_null(2)).alias("user")
    )


def _item_ids(frame: pl.LazyFrame, counts: pl.DataFrame) -> pl.LazyFrame:
    known = counts.lazy().select("item", id=pl.int_range(pl.len(), dtype=pl.Int32) + 3)
    joined = frame.join(known, on="item", how="left", maintain_order="left")
    ids = pl.when(pl.col("item").is_null()).then(1).otherwise(pl.col("id").fill_null(2))
    return joined.with_columns(ids.cast(pl.Int32).alias("item")).drop("id")


def _frequencies(frame: pl.LazyFrame, counts: pl.DataFrame) -> pl.LazyFrame:
    known = counts.lazy().select("user", user_frequency=pl.col("count").cast(pl.Int64))
    joined = frame.join(known, on="user", how="left", maintain_order="left")
    return joined.with_columns(pl.col("user_frequency").fill_null(0))


def _one_hot(frame: pl.LazyFrame, counts: pl.DataFrame) -> pl.LazyFrame:
    return frame.with_columns(
        (pl.col("kind") == value).fill_null(False).cast(pl.UInt8).alias(f"kind_top{n}")
        for n, value in enumerate(counts["kind"], 1)
    )


def _multi_hot(frame: pl.LazyFrame, _: Any) -> pl.LazyFrame:
    return frame.with_columns(
        pl.col("tags").list.contains(value).fill_null(False).cast(pl.UInt8).alias(f"tags_{value}")
        for value in ("tag 0", "tag 1", "tag 2", "tag 3")
    )


def _targets(frame: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The encoding per city and fold from the other folds, and the mean of each fold's others."""
    rows = frame.select("city", fold=_hash("user") % 5, hit=pl.col("flag").cast(pl.Int64))
    per_fold = rows.group_by("city", "fold").agg(pl.col("hit").sum(), n=pl.len().cast(pl.Int64)).collect()
    folds = per_fold.group_by("fold").agg(pl.col("hit", "n").sum())
    folds = folds.select("fold", prior=(folds["hit"].sum() - pl.col("hit")) / (folds["n"].sum() - pl.col("n")))
    per_city = per_fold.drop_nulls("city").group_by("city").agg(pl.col("hit", "n").sum())
    others = per_fold.join(per_city, on="city", suffix="_all").join(folds, on="fold")
    hit, n = pl.col("hit_all") - pl.col("hit"), pl.col("n_all") - pl.col("n")
    encoded = (hit + _SMOOTHING * pl.col("prior")) / (n + _SMOOTHING)
    return others.select("city", "fold", city_target=encoded.cast(pl.Float32)), folds


def _encoded(frame: pl.LazyFrame, found: tuple[pl.DataFrame, pl.DataFrame]) -> pl.LazyFrame:
    encodings, folds = found
    joined = (
        frame.with_columns(fold=_hash("user") % 5)
        .join(encodings.lazy(), on=["city", "fold"], how="left", maintain_order="left")
        .join(folds.lazy(), on="fold", how="left", maintain_order="left")
    )
    value = pl.col("city_target").fill_null(pl.col("prior").cast(pl.Float32))
    return joined.with_columns(value.alias("city_target")).drop("fold", "prior")


CATEGORIES: Final = (
    Pair(
        "Lower",
        {"columns": ["text"]},
        lambda frame, _: frame.with_columns(pl.col("text").str.to_lowercase()),
        note="letters of four scripts one by one where a text is not of ASCII, the same on every engine; two per cent "
        "of these texts are not",
    ),
    Pair(
        "Strip",
        {"columns": ["text"]},
        lambda frame, _: frame.with_columns(pl.col("text").str.strip_chars()),
        note="the same 25 characters on every engine",
    ),
    Pair(
        "Replace",
        {"columns": ["text"], "old": "e", "new": "ee"},
        lambda frame, _: frame.with_columns(pl.col("text").str.replace_all("e", "ee", literal=True)),
    ),
    Pair(
        "Extract",
        {"columns": ["text"], "pattern": "([a-z]+)$", "output": "last"},
        lambda frame, _: frame.with_columns(last=pl.col("text").str.extract("([a-z]+)$")),
    ),
    Pair("HashedNGrams", {"columns": ["text"], "n": 2, "buckets": 1000, "unit": "word"}, _ngrams),
    Pair(
        "HashBucket",
        {"columns": ["city"], "n": 10_000},
        lambda frame, _: frame.with_columns(city=(_hash("city") % 10_000).cast(pl.Int32).fill_null(NULL_HASH % 10_000)),
        of="strings",
    ),
    Pair(
        "HashBucket",
        {"columns": ["item"], "n": 10_000},
        lambda frame, _: frame.with_columns(
            item=(_hashed_number("item") % 10_000).cast(pl.Int32).fill_null(NULL_HASH % 10_000)
        ),
        of="integers",
    ),
    Pair(
        "HashCross",
        {"columns": ["city", "kind"], "n": 2**31 - 1, "output": "crossed"},
        _crossed,
        agrees=same_groups,
        note="null takes part as a value of its own; by hand the hash of both texts with a separator, which values can "
        "hold too, and null taken for the empty text",
    ),
    Pair("Categorify", {"columns": ["user"]}, _text_ids, lambda frame: _counts(frame, "user"), of="strings"),
    Pair("Categorify", {"columns": ["item"]}, _item_ids, lambda frame: _counts(frame, "item"), of="integers"),
    Pair("FrequencyEncode", {"columns": ["user"]}, _frequencies, lambda frame: _counts(frame, "user")),
    Pair(
        "DropRare",
        {"columns": ["user"], "min_count": 20},
        lambda frame, kept: frame.with_columns(pl.when(pl.col("user").is_in(kept)).then("user")),
        lambda frame: frame.group_by("user").len().filter(pl.col("len") >= 20).collect()["user"].implode(),
        note="values are looked up in the index of an Enum, which each worker builds once",
    ),
    Pair("OneHot", {"columns": ["kind"], "max_values": 7}, _one_hot, lambda frame: _counts(frame, "kind")),
    Pair(
        "TargetEncode",
        {"columns": ["city"], "target": "flag", "fold_on": ["user"], "fold_by": "group"},
        _encoded,
        _targets,
        agrees=near(1e-6),
        trained=True,
        note="reads the encoding of all training rows as well, for rows of other splits",
    ),
    Pair(
        "ListLength",
        {"columns": ["scores"]},
        lambda frame, _: frame.with_columns(scores_length=pl.col("scores").list.len().cast(pl.Int32)),
    ),
    Pair(
        "ListSlice",
        {"columns": ["scores"], "end": 3},
        lambda frame, _: frame.with_columns(pl.col("scores").list.head(3)),
    ),
    Pair(
        "ListAgg",
        {"columns": ["scores"], "statistics": ["mean", "max"]},
        lambda frame, _: frame.with_columns(
            scores_mean=pl.col("scores").list.mean(), scores_max=pl.col("scores").list.max()
        ),
        agrees=near(1e-12),
        note="NaN is left out of `max`",
    ),
    Pair("MultiHot", {"columns": ["tags"], "values": ["tag 0", "tag 1", "tag 2", "tag 3"]}, _multi_hot),
)
