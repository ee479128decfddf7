"""What trains a baseline: scikit-learn on the host, cuML on one GPU or on several. One interface, one saved form."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from headrace.pipelines.estimators import Estimator, Task
from headrace.pipelines.matrix import Floats
from headrace.pipelines.models import Model
from headrace.schemas.errors import PipelineError


class Scored(Protocol):
    """Rows of a split, wherever their features are."""

    @property
    def label(self) -> Floats:
        """float64, in this process."""
        ...

    @property
    def available(self) -> int:
        """Rows of the split; more than there are here if a sample was taken."""
        ...


AnyRows = TypeVar("AnyRows", bound=Scored)


@dataclass(frozen=True)
class Job:
    """One baseline to train.

    Parameters
    ----------
    columns
        The features it is given, in order; none for a constant.
    seed
        For what is random in the estimator.
    where
        What messages call it.
    """

    estimator: Estimator
    columns: tuple[str, ...]
    seed: int
    task: Task
    target: str
    where: str

    @property
    def about(self) -> Mapping[str, Any]:
        """What a saved model says of itself, but for its library."""
        return {
            "estimator": self.estimator.name,
            "task": self.task,
            "target": self.target,
            "features": self.columns,
        }


@dataclass(frozen=True)
class Trained:
    """A model, and how it came about.

    Parameters
    ----------
    predict
        float64 on the host, a value a row of rows that the same trainer read: the probability of 1, or the number.
    seconds
        Of fitting alone.
    notes
        Where it was trained, if not by scikit-learn; what the library said on the way, such as no convergence.
    """

    model: Model
    predict: Callable[[Any], Floats]
    seconds: float
    notes: tuple[str, ...] = ()


class Trainer(Protocol[AnyRows]):
    """Reads published shards to where it trains, and trains there."""

    def refuse(self, job: Job, parameters: Mapping[str, Any]) -> None:
        """Raise PipelineError for parameters it is known beforehand not to take."""
        ...

    def read(
        self, split: str, paths: Sequence[Path], features: Sequence[str], label: str, *, max_rows: int, seed: int
    ) -> AnyRows:
        """Features and label of a split; the rows and the refusals of `headrace.pipelines.matrix.read_rows`."""
        ...

    def train(self, job: Job, parameters: Mapping[str, Any], rows: AnyRows) -> Trained:
        """Scale the columns for a linear model, fit, and export.

        Raises
        ------
        PipelineError
            Parameters that the library refuses.
        """
        ...


@contextmanager
def fitting(library: str, where: str) -> Iterator[list[str]]:
    """What a library warns of while it fits, such as no convergence, a line each; what it refuses, as PipelineError."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield said
        except (ValueError, TypeError, NotImplementedError) as error:
            raise PipelineError(
                f"{library} refused: {error}", hint="check the baseline's parameters", where=where
            ) from error
    # Deprecations are not about this fit.
    lines = [str(warning.message).splitlines()[0] for warning in caught if issubclass(warning.category, UserWarning)]
    said += dict.fromkeys(lines)
