"""An example or more of every operator of the registry, for the awkward columns of `headrace.testing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import pytest

from headrace.testing.frames import FRAMES, SCHEMA, TABLES, frame_of, row_of
from headrace.transforms.base import Learner
from headrace.transforms.registry import OPERATORS

__all__ = ["CASES", "EXAMPLES", "FRAMES", "LEARNERS", "SCHEMA", "TABLES", "frame_of", "row_of"]

EXAMPLES: Final[Mapping[str, list[dict[str, Any]]]] = {
    "DropNull": [{"columns": ["number", "text"]}, {"columns": "all"}],
    "Filter": [{"where": "number > 1 AND text <> 'b'"}, {"where": pl.col("moment").dt.hour() < 12}],
    "Cast": [
        {"columns": ["number", "whole", "flag"], "dtype": "Float32"},
        {"columns": ["odd", "big", "small"], "dtype": "Int32", "invalid": "null"},
        {"columns": ["whole", "flag", "text"], "dtype": "String"},
        {"columns": ["day", "moment"], "dtype": "Datetime[ms]"},
        {"columns": ["visits"], "dtype": "String"},
        {"columns": ["scores"], "dtype": "Int32", "invalid": "null"},
    ],
    "Rename": [{"names": {"number": "whole", "whole": "number", "text": "remark"}}],
    "Drop": [{"columns": ["odd", "text"]}, {"columns": "^.*e$"}],
    "Derive": [
        {"late": "number > 15", "number": pl.col("number") * 2, "one": pl.lit(1, pl.Int8)},
        {"kind": "CASE WHEN whole > 2 THEN 'long' ELSE 'short' END"},
    ],
    "FillNull": [
        {"columns": "numeric", "value": 0, "mask": True},
        {"columns": ["text", "empty_text"], "value": "?"},
        {"columns": ["flag"], "value": True},
        {"columns": ["day", "moment", "zoned"], "value": "2020-01-31"},
        {"columns": ["number", "constant", "nothing", "odd", "single", "whole", "flag"], "statistic": "mean"},
        {"columns": ["number", "nothing", "odd", "single", "big", "flag"], "statistic": "median", "mask": True},
        {"columns": ["text"], "statistic": "mode", "mask": True},
        {"columns": ["empty_text", "big"], "statistic": "mode"},
        {"columns": ["big", "flag"], "statistic": "mode"},
        {"columns": ["day"], "statistic": "mode"},
        {"columns": ["visits", "scores"], "statistic": "median", "mask": True},
        {"columns": ["words"], "statistic": "mode"},
        {"columns": ["words"], "value": "?", "mask": True},
    ],
    "Clip": [
        {"columns": ["number", "odd", "single", "whole", "big", "small"], "lower": 0, "upper": 100},
        {"columns": ["number"], "upper": 2.5},
        {"columns": ["small"], "lower": -1000},
        {"columns": ["visits", "scores"], "lower": 0, "upper": 2},
    ],
    "ClipQuantile": [
        {"columns": ["number", "nothing", "odd", "single", "whole", "big", "small"]},
        {"columns": ["number", "big"], "lower": 0, "upper": 0.5, "output": "{column}_clipped"},
        {"columns": ["visits", "scores"], "lower": 0.25, "upper": 0.5},
    ],
    "Log1p": [
        {"columns": "numeric"},
        {"columns": ["number"], "output": "{column}_log"},
        {"columns": ["scores", "visits"], "output": "{column}_log"},
    ],
    "Sqrt": [
        {"columns": "numeric"},
        {"columns": ["number"], "output": "{column}_root"},
        {"columns": ["scores", "visits"]},
    ],
    "Power": [
        {"columns": "numeric", "exponent": 0.5},
        {"columns": ["number"], "exponent": -2, "output": "{column}_p"},
        {"columns": ["scores"], "exponent": 1.5},
    ],
    "Extract": [
        {"columns": ["text", "city", "empty_text"], "pattern": "([a-x]+)$"},
        {"columns": ["text"], "pattern": "[^a]", "group": 0, "output": "first"},
        {"columns": ["words"], "pattern": "([a-x]+)$"},
    ],
    "HashedNGrams": [
        {"columns": ["text", "city", "empty_text"], "n": 2, "buckets": 50},
        {"columns": ["text"], "n": 2, "buckets": 7, "unit": "word", "seed": 3, "output": "text"},
    ],
    "Standardize": [
        {"columns": "numeric"},
        {"columns": ["number", "constant", "nothing"], "output": "{column}_z"},
        {"columns": ["visits", "scores"]},
    ],
    "MinMax": [
        {"columns": "numeric"},
        {"columns": ["number", "constant", "nothing"], "lower": -1, "output": "{column}_scaled"},
        {"columns": ["scores", "visits"], "output": "{column}_scaled"},
    ],
    "RobustScale": [
        {"columns": "numeric"},
        {"columns": ["number", "constant", "nothing"], "lower": 10, "upper": 90, "output": "{column}_scaled"},
        {"columns": ["scores"], "lower": 10, "upper": 90},
    ],
    "QuantileTransform": [
        {"columns": "numeric", "n": 5},
        {"columns": ["number", "constant", "nothing", "odd", "flag"], "distribution": "normal", "output": "{column}_n"},
        {"columns": ["scores"], "n": 5},
    ],
    "PowerTransform": [
        {"columns": "numeric"},
        {"columns": ["number", "constant", "odd"], "method": "box-cox", "output": "{column}_p"},
        {"columns": ["visits"]},
    ],
    "Bucketize": [
        {"columns": "numeric", "boundaries": [-1, 0.5, 2**53 + 1]},
        {"columns": ["number", "flag"], "boundaries": [1], "nulls": "own", "output": "{column}_bucket"},
        {"columns": ["visits", "scores"], "boundaries": [-1, 1.5], "nulls": "own"},
    ],
    "QuantileBucketize": [
        {"columns": "numeric", "n": 4},
        {"columns": ["number", "nothing"], "n": 10, "nulls": "own", "output": "{column}_q"},
        {"columns": ["number"], "n": 1},
        {"columns": ["scores", "visits"], "n": 3, "nulls": "own", "output": "{column}_q"},
    ],
    "ReduceDtypes": [
        {"columns": "integer", "ranges": {"whole": [0, 100], "small": [-128, 127]}},
        {"columns": ["whole", "big"], "ranges": {"whole": [0, 2**16], "big": [-(2**63), 2**63 - 1]}},
    ],
    "DateParts": [
        {"columns": ["day"], "parts": ["year", "quarter", "month", "week", "day_of_year", "day", "weekday"]},
        {"columns": ["moment", "zoned"], "parts": ["year", "is_weekend", "hour", "minute"]},
        {"columns": ["moment", "zoned"], "parts": ["hour", "weekday"], "time_zone": "Asia/Kolkata"},
    ],
    "Cyclic": [{"columns": ["number", "odd", "whole"], "period": 24}],
    "TimeZone": [
        {"columns": ["moment", "zoned"], "zone": "Asia/Kolkata"},
        {"columns": ["zoned"], "zone": "UTC", "output": "{column}_utc"},
        {"columns": ["moment"], "zone": "Asia/Kolkata", "mode": "set"},
        {"columns": ["moment"], "zone": "Europe/Dublin", "mode": "set", "ambiguous": "null", "missing": "shift"},
    ],
    "Lower": [
        {"columns": ["text", "city", "empty_text"]},
        {"columns": ["text"], "output": "{column}_lower"},
        {"columns": ["words"], "output": "{column}_lower"},
    ],
    "Strip": [
        {"columns": ["text", "empty_text"]},
        {"columns": ["text"], "characters": "aé", "side": "start", "output": "{column}_stripped"},
        {"columns": ["words"], "characters": "a"},
    ],
    "Replace": [
        {"columns": ["text", "empty_text"], "old": "a", "new": "$0"},
        {"columns": ["words"], "old": "a", "new": "bb"},
    ],
    "HashBucket": [
        {"columns": ["text", "big", "small", "flag", "day"], "n": 1000},
        {"columns": ["text", "city"], "n": 7, "seed": 5, "output": "{column}_hash"},
        {"columns": ["words", "visits"], "n": 9},
    ],
    "HashCross": [{"columns": ["text", "big", "flag", "day", "city"], "n": 2**31 - 1, "output": "crossed"}],
    "Categorify": [
        {"columns": ["text", "big", "small", "flag", "day", "empty_text"]},
        {"columns": ["text", "city"], "joint": True, "min_count": 2, "max_size": 3, "oov_buckets": 4},
        {"columns": ["city", "whole"], "combo": True, "output": "pair"},
        {"columns": ["text"], "vocabulary": ["b", "a"], "output": "{column}_id"},
        {"columns": ["words", "visits"]},
        {"columns": ["text", "words"], "joint": True, "min_count": 2, "oov_buckets": 3, "output": "{column}_id"},
        {"columns": ["words"], "vocabulary": ["b", "a"]},
    ],
    "FrequencyEncode": [
        {"columns": ["text", "big", "small", "flag", "day", "empty_text"]},
        {"columns": ["big"], "statistic": "share", "output": "{column}"},
        {"columns": ["empty_text"], "statistic": "share"},
        {"columns": ["words", "visits"]},
        {"columns": ["words"], "statistic": "share"},
    ],
    "DropRare": [
        {"columns": ["text"], "min_count": 4},
        {"columns": ["big", "city"], "min_share": 0.2, "output": "{column}_often"},
        {"columns": ["day"], "min_count": 5, "value": "2020-01-31"},
        {"columns": ["flag"], "min_share": 0.5, "value": True},
        {"columns": ["words"], "min_count": 7, "value": "rare"},
        {"columns": ["visits"], "min_share": 0.2},
    ],
    "OneHot": [
        {"columns": ["text", "city"], "values": ["a", "", "日本"], "nulls": "own", "others": "own"},
        {"columns": ["day"], "values": ["2024-02-29"]},
        {"columns": ["text"], "max_values": 8, "nulls": "own", "others": "own"},
        {"columns": ["big"], "max_values": 7, "output": "{value}_{column}"},
        {"columns": ["flag"], "max_values": 2},
        {"columns": ["day"], "max_values": 4},
    ],
    "TargetEncode": [
        {"columns": ["city"], "target": "flag", "fold_on": ["big"]},
        {"columns": ["text", "empty_text"], "target": "odd", "fold_on": ["moment"], "fold_by": "time", "prior": 0.5},
        {"columns": ["city", "whole"], "combo": True, "target": "big", "fold_on": ["text", "moment"], "output": "pair"},
        {
            "columns": ["city", "text"],
            "target": ["odd", "big", "flag"],
            "fold_on": ["whole"],
            "fold_by": "group",
            "smoothing": "auto",
            "output": "{column}_{target}",
        },
        {
            "columns": ["city"],
            "target": "text",
            "classes": ["a", "", "日本"],
            "fold_on": ["day"],
            "fold_by": "time",
            "every": "1y",
            "prior": [0.5, 0.25, 0.25],
            "output": "{column}_{class}",
        },
        {"columns": ["city"], "target": ["odd", "big", "flag"], "leave_one_out": True, "output": "{column}_{target}"},
        {
            "columns": ["city"],
            "target": ["single", "big"],
            "leave_one_out": True,
            "smoothing": "auto",
            "prior": 2,
            "output": "{column}_{target}",
        },
        {
            "columns": ["city", "flag"],
            "combo": True,
            "target": "whole",
            "classes": [2, 9],
            "leave_one_out": True,
            "smoothing": 0,
            "output": "pair_{class}",
        },
    ],
    "ListLength": [{"columns": ["visits", "scores", "words"]}, {"columns": ["words"], "output": "words"}],
    "ListSlice": [
        {"columns": ["visits", "scores", "words"], "start": 1},
        {"columns": ["visits", "scores"], "start": -2, "pad": 0, "output": "{column}_last"},
        {"columns": ["words"], "end": 2, "pad": "-"},
    ],
    "ListAgg": [
        {"columns": ["visits", "scores"], "statistics": ["length", "count", "sum", "mean", "min", "max"]},
        {"columns": ["visits"], "output": "visits"},
    ],
    "MultiHot": [
        {"columns": ["words", "visits"], "max_values": 8, "nulls": "own", "others": "own"},
        {"columns": ["words"], "values": ["a", "", "é"], "nulls": "own", "others": "own", "output": "{value}/{column}"},
        {"columns": ["visits"], "values": [3, -2]},
        {"columns": ["visits"], "max_values": 2, "min_count": 7},
    ],
    "GroupStats": [
        {"by": ["city"], "of": ["number", "odd", "big"], "statistics": ["count", "sum", "mean", "std", "min", "max"]},
        {"by": ["city", "flag"], "of": ["text"], "statistics": ["n_unique"]},
        {"by": ["empty_text"], "statistics": ["count"]},
    ],
    "LookupJoin": [{"table": "cities", "on": ["city"]}],
    "AsOfJoin": [{"table": "weather", "on": "moment", "by": ["city"], "lag": "1h", "tolerance": "9000d"}],
    "Lag": [
        {"columns": ["number", "text"], "by": ["city"], "order": "moment"},
        {"columns": ["odd"], "by": ["city", "flag"], "order": "whole", "n": 2},
    ],
    "Expanding": [
        {"columns": ["odd", "big", "flag"], "by": ["city"], "order": "moment", "statistics": ["count", "mean"]},
        {"columns": ["single"], "by": ["text", "flag"], "order": "whole", "output": "single"},
    ],
    "Diff": [
        {"columns": ["number", "odd", "single", "big", "small", "flag"], "by": ["city"], "order": "moment"},
        {"columns": ["big"], "by": ["city", "flag"], "order": "whole", "n": 2, "output": "{column}"},
    ],
    "TimeSinceLast": [
        {"by": ["city"], "order": "moment"},
        {"by": ["text", "flag"], "order": "zoned"},
        {"by": ["city"], "order": "day", "output": "seconds"},
    ],
    "Sequence": [
        {"columns": ["number", "text", "flag", "big"], "by": ["city"], "order": "moment", "max_length": 3},
        {"columns": ["odd", "single", "small"], "by": ["text", "flag"], "order": "whole", "max_length": 4, "pad": 0},
        {"columns": ["day", "moment"], "by": ["city"], "order": "zoned", "max_length": 100},
        {"columns": ["text"], "by": ["day"], "order": "odd", "max_length": 2, "pad": "-", "output": "text"},
    ],
    "Deduplicate": [
        {"by": ["city"]},
        {"by": ["city", "zoned"], "keep": "last"},
        {"by": ["text"], "order": "moment"},
        {"by": ["flag", "day"], "order": "odd", "keep": "last"},
    ],
    "RollingStats": [
        {
            "columns": ["odd", "big"],
            "by": ["city"],
            "order": "moment",
            "window": "7d",
            "statistics": ["count", "sum", "mean", "std", "min", "max"],
        }
    ],
}

CASES: Final = [
    pytest.param({name: fields}, id=f"{name}-{i}") for name, all_ in EXAMPLES.items() for i, fields in enumerate(all_)
]
LEARNERS: Final = [c for c in CASES if issubclass(OPERATORS[next(iter(c.values[0]))], Learner)]
