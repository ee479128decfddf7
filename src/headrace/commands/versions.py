"""What the commands on a dataset's history have in common: where it lies, and which version is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.commands.options import dataset_uri

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from headrace.catalog.place import Place


@dataclass(frozen=True)
class Located:
    """A dataset that is there, and the version named behind it, if any."""

    place: Place
    store: ObjectStore
    version: int | str | None

    @property
    def name(self) -> str:
        return self.place.name

    def number(self, version: int | str) -> int:
        """The version that a number, a ref or `latest` means. Raises UsageError."""
        from headrace.catalog.reader import meant_version

        return meant_version(self.store, self.name, version)


def located(dataset: str, catalog: str) -> Located:
    """Find a dataset by its name in the catalog or its path. Raises UsageError if nothing was published there."""
    from headrace.catalog import log
    from headrace.catalog.place import Place
    from headrace.catalog.reader import split_version, unknown_dataset
    from headrace.catalog.store import open_store

    place, version = split_version(Place.of(dataset_uri(dataset, catalog)))
    if place.folder is not None and not place.folder.is_dir():
        raise unknown_dataset(place)
    store = open_store(place)
    if log.latest_version(store) is None:
        raise unknown_dataset(place)
    return Located(place, store, version)
