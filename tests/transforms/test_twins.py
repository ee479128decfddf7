"""Every operator is in the table of twins; scikit-learn's are imported, the others' are those their modules export."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import pytest

from headrace.transforms.registry import OPERATORS
from headrace.transforms.twins import LIBRARIES, TWINS, Twins

NVTABULAR: Final = """
    Bucketize Categorify Clip ColumnSimilarity DataStats DifferenceLag Dropna DropLowCardinality FillMedian FillMissing
    Filter Groupby HashBucket HashedCross JoinExternal JoinGroupby LambdaOp ListSlice LogOp Normalize NormalizeMinMax
    ReduceDtypeSize Rename TargetEncoding ValueCount
"""
TFT: Final = """
    apply_buckets apply_buckets_with_interpolation apply_vocabulary bag_of_words bucketize bucketize_per_key
    compute_and_apply_vocabulary deduplicate_tensor_per_row hash_strings ngrams scale_by_min_max scale_to_0_1
    scale_to_gaussian scale_to_z_score tfidf word_count
"""
RAY: Final = """
    Categorizer Concatenator CountVectorizer CustomKBinsDiscretizer FeatureHasher HashingVectorizer LabelEncoder
    MaxAbsScaler MinMaxScaler MultiHotEncoder Normalizer OneHotEncoder OrdinalEncoder PowerTransformer RobustScaler
    SimpleImputer StandardScaler Tokenizer UniformKBinsDiscretizer
    Dataset.drop_columns Dataset.filter Dataset.join Dataset.rename_columns Dataset.with_column
"""


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_listed(name: str) -> None:
    assert name in TWINS, f"{name}: name its twins in transforms/twins.py, `_twins()` where there are none"


def test_every_library_has_a_field() -> None:
    assert tuple(LIBRARIES) == Twins._fields


@pytest.mark.parametrize(("field", "known"), [("nvtabular", NVTABULAR), ("tft", TFT), ("ray", RAY)])
def test_a_twin_is_one_that_the_library_has(field: str, known: str) -> None:
    assert {name for twins in TWINS.values() for name in getattr(twins, field)} <= set(known.split())


@pytest.mark.parametrize("path", sorted({name for twins in TWINS.values() for name in twins.sklearn}))
def test_a_twin_in_scikit_learn_can_be_imported(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert hasattr(import_module(f"sklearn.{module}"), name)
