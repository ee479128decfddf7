"""What a loader can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from headrace.catalog.loader.order import DropLast, Shuffle, integer

if TYPE_CHECKING:
    from headrace.catalog.loader.columns import Pack

_NUMBERS: Final = ("batch_size", "rank", "world_size", "seed", "lanes", "threads", "prefetch")


@dataclass(frozen=True)
class Options:
    """What `Dataset.torch_loader` and `Dataset.numpy_loader` were asked for, which say what each is.

    Whole numbers may be of any type, such as NumPy's.
    """

    columns: Sequence[str] | None = None
    batch_size: int = 65_536
    rank: int = 0
    world_size: int = 1
    shuffle: Shuffle = "rows"
    seed: int = 0
    drop_last: DropLast = True
    pack: Pack | None = None
    lanes: int | None = None
    threads: int = 2
    prefetch: int | None = None
    page_checksums: bool = False

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            if (number := integer(getattr(self, name))) is not None:  # what is none is refused where it is used
                object.__setattr__(self, name, number)


class Asked(TypedDict, total=False):
    """The options but for `columns`, as keywords."""

    batch_size: int
    rank: int
    world_size: int
    shuffle: Shuffle
    seed: int
    drop_last: DropLast
    pack: Pack | None
    lanes: int | None
    threads: int
    prefetch: int | None
    page_checksums: bool
