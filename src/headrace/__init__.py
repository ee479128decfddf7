"""Raw Parquet in, versioned training-ready datasets out.

>>> from headrace import open_dataset
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.catalog.device import Ragged
    from headrace.catalog.reader import Dataset, open_dataset
    from headrace.catalog.vocabulary import read_vocabulary
    from headrace.pipelines.build import build
    from headrace.pipelines.fitted import FittedPipeline
    from headrace.pipelines.load import load_pipeline
    from headrace.pipelines.model import Pipeline

__all__ = [
    "Dataset",
    "FittedPipeline",
    "Pipeline",
    "Ragged",
    "build",
    "load_pipeline",
    "open_dataset",
    "read_vocabulary",
]

# Imported when first asked for, so that `headrace --help` and a worker do not pay for what they do not use.
_WHERE = {
    "Dataset": "headrace.catalog.dataset",
    "FittedPipeline": "headrace.pipelines.fitted",
    "Pipeline": "headrace.pipelines.model",
    "Ragged": "headrace.catalog.device",
    "build": "headrace.pipelines.build",
    "load_pipeline": "headrace.pipelines.load",
    "open_dataset": "headrace.catalog.reader",
    "read_vocabulary": "headrace.catalog.vocabulary",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
