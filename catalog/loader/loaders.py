"""`Dataset.torch_loader` and `Dataset.numpy_loader`: they import what makes loaders when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Unpack

from headrace.catalog.device import require
from headrace.catalog.loader.options import Asked, Options

if TYPE_CHECKING:
    from headrace.catalog.dataset import Dataset
    from headrace.catalog.loader.loader import Loader


def torch_loader(
    dataset: Dataset,
    split: str,
    columns: Sequence[str] | None = None,
    *,
    batch_size: int = 65_536,
    rank: int = 0,
    world_size: int = 1,
    shuffle: Literal["rows", "blocks", False] = "rows",
    seed: int = 0,
    drop_last: Literal[True, False, "pad"] = True,
    device: str = "cpu",
    pack: Mapping[str, Sequence[str]] | None = None,
    lanes: int | None = None,
    threads: int = 2,
    prefetch: int | None = None,
    page_checksums: bool = False,
) -> Loader:
    """Batches of a split as `torch.Tensor`s: every row once over all ranks, in the same number of steps on each.

    Parameters
    ----------
    split, columns
        As of `torch`: entries of a batch are tensors of `[rows]`, of `[rows, d]`, or a `Ragged(values, offsets)`.
    batch_size
        Rows of a step over all ranks together: a rank gets `batch_size / world_size` of them, which is what other
        loaders call batch size. So the steps are the same whatever the number of ranks.
    rank, world_size
        Which rank of how many this process is. `world_size` must divide `lanes`, and `lanes` must divide
        `batch_size`.
    shuffle
        "rows": row groups are permuted, and rows in windows of 32,768. "blocks": row groups are permuted, and rows
        keep their order in them; faster (docs/performance.md). Either way a batch has equal parts from `lanes` places
        of the split. False: step t has rows `[t * batch_size, (t + 1) * batch_size)` in published order; of several
        ranks, each decodes all row groups.
    seed
        Of the shuffle, with the epoch.
    drop_last
        Of the last rows, which make no whole step. True: none has them. False: the last step is smaller, and may be
        empty on some ranks. "pad": it is filled with zeros (and empty lists), and each batch has an entry "_valid",
        a boolean for each row.
    device
        "cpu", or "cuda:N": batches are copied there from pinned memory, beside the job's own work.
    pack
        Matrices of several columns side by side, `[rows, columns]`, by name. Their columns need not be in
        `columns`, and are no entries of their own. The type is the smallest that holds all of them exactly: int32
        beside float32 makes float64, uint8 beside float32 makes float32.
    lanes
        In how many parts the epoch is cut, which are read side by side. More mix better, and take more memory: a
        decoded row group each. By default 8, where that fits the batch and the ranks. Keep it to go on in a world
        of another size.
    threads
        That decode; they live while an iteration does.
    prefetch
        Row groups that they decode ahead of what is waited for; as many as threads by default.
    page_checksums
        Compare the checksum of every page that has one. Without it a shard is checked by its bytes and rows alone.

    Returns
    -------
    Loader
        Iterable; each iteration is an epoch, which `set_epoch` chooses. `state_dict` and `load_state_dict` go on in
        the middle of one.

    Raises
    ------
    UsageError
        As `torch`, and for options that do not fit each other or the split. All before a file is opened.
    DataError
        While it is iterated: a shard that is missing or damaged, named, or null elements in lists.
    CapabilityError
        torch is not installed, or cannot use the device.

    Notes
    -----
    Batches are views of memory that is used again once nothing refers to them; up to 96 MiB of them, or one, share
    a block, so what is to be kept long is better cloned. Memory: a row group for each lane of the rank and
    `prefetch` more.
    """
    require("torch", "torch")
    require("numpy", "torch")
    from headrace.catalog.loader import tensors

    order = (batch_size, rank, world_size, shuffle, seed, drop_last)
    options = Options(columns, *order, pack, lanes, threads, prefetch, page_checksums)
    return tensors.loader(dataset, split, options, device)


def numpy_loader(
    dataset: Dataset, split: str, columns: Sequence[str] | None = None, **options: Unpack[Asked]
) -> Loader:
    """What `torch_loader` gives, as `numpy.ndarray`s: the same rows in the same order, without torch.

    Parameters
    ----------
    options
        As of `torch_loader`, but for `device`.
    """
    require("numpy", "torch")
    if unknown := options.keys() - Asked.__annotations__.keys():
        raise TypeError(f"numpy_loader() got an unexpected keyword argument {min(unknown)!r}")
    from headrace.catalog.loader.loader import Loader

    return Loader(dataset, split, Options(columns, **options))
