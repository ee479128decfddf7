"""Which columns of a dataset go into the network, and how large its embeddings are: all of it out of the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from headrace import Dataset


@dataclass(frozen=True)
class Features:
    """Columns of a dataset as the network takes them.

    Parameters
    ----------
    dense
        Numbers and flags, float32 each; they come as one matrix.
    tables
        Categorical columns and the number of their ids, which are below it in every split.
    label
        0 or 1.
    """

    dense: tuple[str, ...]
    tables: dict[str, int]
    label: str

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Those of a dataset. Raises SystemExit if it has no label."""
        columns = dataset.manifest.columns
        labels = [c.name for c in columns if c.role == "label"]
        if not labels:
            raise SystemExit(f"{dataset.name}@{dataset.version} has no label to learn")
        features = [c for c in columns if c.role == "feature" and not c.nullable]
        return cls(
            dense=tuple(c.name for c in features if c.kind in ("numeric", "mask", "boolean")),
            tables={c.name: c.cardinality for c in features if c.kind == "categorical" and c.cardinality},
            label=labels[0],
        )

    @property
    def columns(self) -> list[str]:
        """All of them."""
        return [*self.dense, *self.tables, self.label]

    @property
    def matrices(self) -> dict[str, list[str]]:
        """Those that come side by side: dense ones as numbers, the others as ids."""
        return {"dense": list(self.dense), "ids": list(self.tables)}
