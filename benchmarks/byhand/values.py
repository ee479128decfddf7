"""Rows, columns, numbers and times, by hand."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.byhand.pair import Pair, but_for, near

_FLOAT32: Final = near(1e-6)
_FREE: Final = "nothing is computed: what is measured is making the plan"
_RANKS: Final = "quantiles within 1/4096 of the rows, from summaries that can be merged; by hand from a full sort"
_MOMENTS: Final = "also leaves out values of 1e100 and more; sums per unit, merged in one order"
_BREAKS: Final = (-20.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 80.0)


def _quantiles(frame: pl.LazyFrame, column: str, shares: list[float]) -> list[float]:
    (values,) = frame.select(pl.col(column).drop_nulls().sort()).collect().get_columns()
    return [float(values[min(round(share * (len(values) - 1)), len(values) - 1)]) for share in shares]


def _knots(frame: pl.LazyFrame) -> np.ndarray[Any, Any]:
    (values,) = frame.select(pl.col("price").drop_nulls().sort()).collect().get_columns()
    places = np.linspace(0, len(values) - 1, min(1000, len(values)))
    found: np.ndarray[Any, Any] = values.gather(np.round(places).astype(np.uint32)).to_numpy()
    return found


def _shares(frame: pl.LazyFrame, knots: np.ndarray[Any, Any]) -> pl.LazyFrame:
    grid = np.linspace(0, 1, len(knots))
    share = pl.col("price").map_batches(
        lambda values: pl.Series(np.interp(values.to_numpy(), knots, grid).astype(np.float32), nan_to_null=True),
        return_dtype=pl.Float32,
    )
    return frame.with_columns(share)


def _power(frame: pl.LazyFrame) -> tuple[float, float, float]:
    from sklearn.preprocessing import PowerTransformer

    values = frame.select("price").drop_nulls().collect().to_numpy()
    fitted = PowerTransformer("yeo-johnson").fit(values)
    return float(fitted.lambdas_[0]), float(fitted._scaler.mean_[0]), float(fitted._scaler.scale_[0])


def _powered(frame: pl.LazyFrame, fitted: tuple[float, float, float]) -> pl.LazyFrame:
    power, mean, deviation = fitted  # prices are above 0: one branch of the family
    return frame.with_columns(((((pl.col("price") + 1.0) ** power - 1.0) / power - mean) / deviation).cast(pl.Float32))


def _finite(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Without the numbers that would be the mean, or an end of the range, of all others too."""
    return frame.with_columns(pl.when(pl.col("number").is_finite()).then("number"))


def _row(frame: pl.LazyFrame, *values: pl.Expr) -> dict[str, Any]:
    return frame.select(*values).collect().row(0, named=True)


VALUES: Final = (
    Pair("DropNull", {"columns": ["number", "city"]}, lambda frame, _: frame.drop_nulls(["number", "city"])),
    Pair(
        "Filter",
        {"where": "number > 15 AND city <> 'City 1'"},
        lambda frame, _: frame.filter((pl.col("number") > 15) & (pl.col("city") != "City 1")),
        columns=("number", "city"),
    ),
    Pair(
        "Cast",
        {"columns": ["number", "whole"], "dtype": "Float32"},
        lambda frame, _: frame.with_columns(pl.col("number", "whole").cast(pl.Float32)),
    ),
    Pair(
        "Rename",
        {"names": {"number": "amount"}},
        lambda frame, _: frame.rename({"number": "amount"}),
        columns=("number", "whole"),
        note=_FREE,
    ),
    Pair("Drop", {"columns": ["number"]}, lambda frame, _: frame.drop("number"), columns=("whole",), note=_FREE),
    Pair(
        "Derive",
        {"late": "number > 15", "per_year": pl.col("price") / pl.col("age")},
        lambda frame, _: frame.with_columns(late=pl.col("number") > 15, per_year=pl.col("price") / pl.col("age")),
        columns=("number", "price", "age"),
    ),
    Pair(
        "FillNull",
        {"columns": ["number", "whole"], "value": 0, "mask": True},
        lambda frame, _: frame.with_columns(
            pl.col("number", "whole").fill_null(0),
            pl.col("number", "whole").is_null().cast(pl.UInt8).name.suffix("_isnull"),
        ),
        of="value",
    ),
    Pair(
        "FillNull",
        {"columns": ["number"], "statistic": "mean"},
        lambda frame, found: frame.with_columns(pl.col("number").fill_null(found["number"])),
        lambda frame: _row(_finite(frame), pl.col("number").mean()),
        of="mean",
        agrees=near(1e-12),
        note=_MOMENTS,
    ),
    Pair(
        "FillNull",
        {"columns": ["number"], "statistic": "median"},
        lambda frame, found: frame.with_columns(pl.col("number").fill_null(found["number"])),
        lambda frame: _row(frame, pl.col("number").median()),
        of="median",
        agrees=near(2e-2),
        note="the median within 1/4096 of the rows, from summaries that can be merged",
    ),
    Pair(
        "FillNull",
        {"columns": ["city"], "statistic": "mode"},
        lambda frame, found: frame.with_columns(pl.col("city").fill_null(found)),
        lambda frame: (
            frame.drop_nulls("city")
            .group_by("city")
            .len()
            .sort("len", "city", descending=[True, False])
            .collect()[0, 0]
        ),
        of="mode",
    ),
    Pair(
        "Clip",
        {"columns": ["number", "whole"], "lower": 0, "upper": 100},
        lambda frame, _: frame.with_columns(pl.col("number", "whole").clip(0, 100)),
    ),
    Pair(
        "ClipQuantile",
        {"columns": ["number"]},
        lambda frame, found: frame.with_columns(pl.col("number").clip(found["low"], found["high"])),
        lambda frame: _row(
            frame, pl.col("number").quantile(0.01).alias("low"), pl.col("number").quantile(0.99).alias("high")
        ),
        agrees=but_for(0.001, 1.0),
        note=_RANKS,
    ),
    Pair(
        "Log1p",
        {"columns": ["price", "age"]},
        lambda frame, _: frame.with_columns(pl.col("price", "age").log1p().cast(pl.Float32)),
    ),
    Pair(
        "Sqrt",
        {"columns": ["price", "age"]},
        lambda frame, _: frame.with_columns(pl.col("price", "age").sqrt().cast(pl.Float32)),
    ),
    Pair(
        "Power",
        {"columns": ["price"], "exponent": 1.5},
        lambda frame, _: frame.with_columns((pl.col("price") ** 1.5).cast(pl.Float32)),
        note="says that a value below 0 gives NaN, for all engines alike",
    ),
    Pair(
        "Standardize",
        {"columns": ["number", "whole"]},
        lambda frame, found: frame.with_columns(
            ((pl.col(c) - found[f"{c}:mean"]) / found[f"{c}:std"]).cast(pl.Float32) for c in ("number", "whole")
        ),
        lambda frame: _row(
            _finite(frame),
            pl.col("number", "whole").mean().name.suffix(":mean"),
            pl.col("number", "whole").std(ddof=0).name.suffix(":std"),
        ),
        agrees=_FLOAT32,
        note=_MOMENTS,
    ),
    Pair(
        "MinMax",
        {"columns": ["number", "whole"]},
        lambda frame, found: frame.with_columns(
            ((pl.col(c) - found[f"{c}:min"]) / (found[f"{c}:max"] - found[f"{c}:min"])).cast(pl.Float32)
            for c in ("number", "whole")
        ),
        lambda frame: _row(
            _finite(frame),
            pl.col("number", "whole").min().name.suffix(":min"),
            pl.col("number", "whole").max().name.suffix(":max"),
        ),
        agrees=_FLOAT32,
        note="also leaves out values of 1e100 and more",
    ),
    Pair(
        "RobustScale",
        {"columns": ["number"]},
        lambda frame, found: frame.with_columns(
            ((pl.col("number") - found["middle"]) / (found["high"] - found["low"])).cast(pl.Float32)
        ),
        lambda frame: _row(
            frame,
            pl.col("number").quantile(0.25).alias("low"),
            pl.col("number").median().alias("middle"),
            pl.col("number").quantile(0.75).alias("high"),
        ),
        agrees=but_for(0.0, 1e-2),
        note=_RANKS,
    ),
    Pair(
        "QuantileTransform",
        {"columns": ["price"]},
        _shares,
        _knots,
        agrees=but_for(0.0, 2e-3),
        note=f"{_RANKS}; ties get the middle of their shares; by hand numpy.interp",
    ),
    Pair(
        "PowerTransform",
        {"columns": ["price"]},
        _powered,
        _power,
        agrees=but_for(0.001, 5e-2),
        note="the power from a summary of the values; by hand scikit-learn's PowerTransformer, and one branch of the "
        "family where there are no values below 0",
    ),
    Pair(
        "Bucketize",
        {"columns": ["number"], "boundaries": _BREAKS},
        lambda frame, _: frame.with_columns(
            pl.col("number").cut(_BREAKS, left_closed=True).to_physical().cast(pl.Int32)
        ),
    ),
    Pair(
        "QuantileBucketize",
        {"columns": ["number"], "n": 10},
        lambda frame, cuts: frame.with_columns(
            pl.col("number").cut(cuts, left_closed=True).to_physical().cast(pl.Int32)
        ),
        lambda frame: _quantiles(frame, "number", [k / 10 for k in range(1, 10)]),
        agrees=but_for(0.004),
        note=_RANKS,
    ),
    Pair(
        "ReduceDtypes",
        {"columns": ["age"], "ranges": {"age": [0, 100]}},
        lambda frame, _: frame.with_columns(pl.col("age").cast(pl.Int8)),
    ),
    Pair(
        "DateParts",
        {"columns": ["moment"], "parts": ["year", "month", "weekday", "hour"]},
        lambda frame, _: frame.with_columns(
            moment_year=pl.col("moment").dt.year(),
            moment_month=pl.col("moment").dt.month(),
            moment_weekday=pl.col("moment").dt.weekday(),
            moment_hour=pl.col("moment").dt.hour(),
        ),
    ),
    Pair(
        "Cyclic",
        {"columns": ["age"], "period": 24},
        lambda frame, _: frame.with_columns(
            age_sin=(pl.col("age") * (2 * math.pi / 24)).sin().cast(pl.Float32),
            age_cos=(pl.col("age") * (2 * math.pi / 24)).cos().cast(pl.Float32),
        ),
    ),
    Pair(
        "TimeZone",
        {"columns": ["moment"], "zone": "America/New_York", "mode": "set"},
        lambda frame, _: frame.with_columns(
            pl.col("moment").dt.replace_time_zone("America/New_York", ambiguous="earliest", non_existent="null")
        ),
    ),
)
