"""The loader for PyTorch: batches as tensors, on the CPU or copied to a GPU from pinned memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from headrace.catalog.device import Ragged, device_index
from headrace.catalog.loader.batches import Batch
from headrace.catalog.loader.loader import Loader
from headrace.catalog.loader.options import Options
from headrace.catalog.loader.slab import Array
from headrace.catalog.reader import Dataset
from headrace.schemas.errors import CapabilityError, UsageError


def loader(dataset: Dataset, split: str, options: Options, device: str) -> Loader:
    """See `Dataset.torch_loader`."""
    index = device_index(device)
    if index is None:
        return Loader(dataset, split, options, deliver=_on_host)
    copier = _Copier(_cuda(index))
    return Loader(dataset, split, options, allocate=copier.pinned, deliver=copier.deliver)


def _cuda(index: int) -> Any:
    import torch

    if not torch.cuda.is_available():
        raise CapabilityError(
            f"torch {torch.__version__} sees no GPU",
            hint='`python -m torch.utils.collect_env` says why; device="cpu" works without one',
        )
    if index >= torch.cuda.device_count():
        raise UsageError(f"there is no 'cuda:{index}': {torch.cuda.device_count()} GPU(s) are visible, from cuda:0")
    return torch.device("cuda", index)


def _on_host(batches: Iterator[Batch]) -> Iterator[Batch]:
    return ({name: _tensor(value) for name, value in batch.items()} for batch in batches)


def _tensor(value: Any) -> Any:
    """Tensors that share memory with arrays."""
    import torch

    if isinstance(value, Ragged):
        return Ragged(torch.from_numpy(value.values), torch.from_numpy(value.offsets))
    return torch.from_numpy(value)


class _Copier:
    """Copies batches to a device on a stream of its own, one batch ahead of the job.

    What is copied is kept until its copy is done, so that no thread writes there before.
    """

    def __init__(self, device: Any) -> None:
        self._device = device

    def pinned(self, size: int) -> Array:
        import torch

        array: Array = torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
        return array

    def deliver(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        import torch

        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        copying: deque[tuple[Batch, Batch, Any]] = deque()
        for batch in _on_host(batches):
            with torch.cuda.stream(stream):
                copied = {name: _each(self._copy, value) for name, value in batch.items()}
                copying.append((batch, copied, stream.record_event()))
            del batch
            if len(copying) > 1:
                yield self._arrived(*copying.popleft())
        while copying:
            yield self._arrived(*copying.popleft())

    def _copy(self, tensor: Any) -> Any:
        return tensor.to(self._device, non_blocking=True)

    def _arrived(self, _: Batch, copied: Batch, done: Any) -> Batch:
        """The batch, for the job's stream; the copy is waited for here, as it has had the time of a step."""
        import torch

        done.synchronize()
        current = torch.cuda.current_stream(self._device)
        for value in copied.values():
            _each(lambda tensor: tensor.record_stream(current), value)
        return copied


def _each(do: Callable[[Any], Any], value: Any) -> Any:
    return Ragged(*map(do, value)) if isinstance(value, Ragged) else do(value)
