"""What each operator is called elsewhere, for those who come from there; the pages of operators show it.

The names are those of NVTabular 23.08 (`nvtabular.ops`), TensorFlow Transform (`tft`), Ray Data
(`ray.data.preprocessors` and methods of `Dataset`) and scikit-learn. A twin does the same to ordinary values; nulls,
ties and types may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Twins(NamedTuple):
    """The names of an operator's twins in each library; empty where there is none."""

    nvtabular: tuple[str, ...] = ()
    tft: tuple[str, ...] = ()
    ray: tuple[str, ...] = ()
    sklearn: tuple[str, ...] = ()


LIBRARIES: Final[Mapping[str, str]] = MappingProxyType(
    {"nvtabular": "NVTabular", "tft": "TFT", "ray": "Ray Data", "sklearn": "scikit-learn"}
)
"""The fields of `Twins` with the names that the libraries go by."""


def _twins(nvtabular: str = "", tft: str = "", ray: str = "", sklearn: str = "") -> Twins:
    return Twins(*(tuple(names.split()) for names in (nvtabular, tft, ray, sklearn)))


_LAMBDA: Final = "LambdaOp"
_FUNCTION: Final = "preprocessing.FunctionTransformer"

TWINS: Final[Mapping[str, Twins]] = MappingProxyType(
    {
        # rows and columns
        "DropNull": _twins("Dropna Filter"),
        "Filter": _twins("Filter", ray="Dataset.filter"),
        "Cast": _twins(_LAMBDA),
        "Rename": _twins("Rename", ray="Dataset.rename_columns"),
        "Drop": _twins(ray="Dataset.drop_columns"),
        "Derive": _twins(_LAMBDA, ray="Dataset.with_column", sklearn=_FUNCTION),
        "ReduceDtypes": _twins("ReduceDtypeSize"),
        # numbers
        "FillNull": _twins("FillMissing FillMedian", ray="SimpleImputer", sklearn="impute.SimpleImputer"),
        "Clip": _twins("Clip", sklearn=_FUNCTION),
        "ClipQuantile": _twins(),
        "Log1p": _twins("LogOp", sklearn=_FUNCTION),
        "Sqrt": _twins(_LAMBDA, sklearn=_FUNCTION),
        "Power": _twins(_LAMBDA, sklearn=_FUNCTION),
        "Standardize": _twins("Normalize", "scale_to_z_score", "StandardScaler", "preprocessing.StandardScaler"),
        "MinMax": _twins(
            "NormalizeMinMax", "scale_by_min_max scale_to_0_1", "MinMaxScaler", "preprocessing.MinMaxScaler"
        ),
        "RobustScale": _twins(ray="RobustScaler", sklearn="preprocessing.RobustScaler"),
        "QuantileTransform": _twins(
            tft="apply_buckets_with_interpolation", sklearn="preprocessing.QuantileTransformer"
        ),
        "PowerTransform": _twins(
            tft="scale_to_gaussian", ray="PowerTransformer", sklearn="preprocessing.PowerTransformer"
        ),
        "Bucketize": _twins("Bucketize", "apply_buckets", "CustomKBinsDiscretizer"),
        "QuantileBucketize": _twins(tft="bucketize", sklearn="preprocessing.KBinsDiscretizer"),
        # dates and times
        "DateParts": _twins(_LAMBDA),
        "Cyclic": _twins(_LAMBDA, sklearn=_FUNCTION),
        "TimeZone": _twins(),
        # text
        "Lower": _twins(_LAMBDA),
        "Strip": _twins(_LAMBDA),
        "Replace": _twins(_LAMBDA),
        "Extract": _twins(_LAMBDA),
        "HashedNGrams": _twins(
            tft="ngrams hash_strings", ray="HashingVectorizer", sklearn="feature_extraction.text.HashingVectorizer"
        ),
        # categories
        "HashBucket": _twins("HashBucket", "hash_strings", sklearn="feature_extraction.FeatureHasher"),
        "HashCross": _twins("HashedCross"),
        "Categorify": _twins(
            "Categorify", "compute_and_apply_vocabulary", "OrdinalEncoder", "preprocessing.OrdinalEncoder"
        ),
        "FrequencyEncode": _twins("JoinGroupby"),
        "DropRare": _twins("DropLowCardinality Categorify", sklearn="preprocessing.OrdinalEncoder"),
        "OneHot": _twins(ray="OneHotEncoder", sklearn="preprocessing.OneHotEncoder"),
        "MultiHot": _twins(tft="bag_of_words", ray="MultiHotEncoder", sklearn="preprocessing.MultiLabelBinarizer"),
        "TargetEncode": _twins("TargetEncoding", sklearn="preprocessing.TargetEncoder"),
        # lists
        "ListLength": _twins("ValueCount", "word_count"),
        "ListSlice": _twins("ListSlice"),
        "ListAgg": _twins(_LAMBDA),
        # other tables, other rows
        "GroupStats": _twins("JoinGroupby"),
        "LookupJoin": _twins("JoinExternal", "apply_vocabulary", "Dataset.join"),
        "AsOfJoin": _twins(),
        "Lag": _twins("DifferenceLag"),
        "RollingStats": _twins(),
        "Diff": _twins("DifferenceLag"),
        "TimeSinceLast": _twins("DifferenceLag"),
        "Expanding": _twins(),
        "Sequence": _twins("Groupby"),
        "Deduplicate": _twins(),
    }
)
