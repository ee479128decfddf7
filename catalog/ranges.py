"""An object of a store as a file to read: only what is asked for comes over the network."""

from __future__ import annotations

import io
import os
from typing import Final

import obstore
from obstore.store import ObjectStore

from headrace.catalog.cache import reading, size_of_object

AT_LEAST: Final = 64 << 10
"""Bytes of one request: what footers and headers of pages are in."""


class _Ranges(io.RawIOBase):
    def __init__(self, store: ObjectStore, name: str, size: int) -> None:
        self._store, self._name, self._size, self._at = store, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader calls it with
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        with reading(self._store, self._name):
            data = obstore.get_range(self._store, self._name, start=self._at, end=end)
        buffer[: len(data)] = memoryview(data)
        self._at += len(data)
        return len(data)


def open_object(store: ObjectStore, name: str, expected: str = "") -> io.BufferedReader:
    """An object, open for reading parts of it. Raises DataError if it is missing, CapabilityError."""
    with reading(store, name, expected):
        size = size_of_object(store, name)
    return io.BufferedReader(_Ranges(store, name, size), AT_LEAST)
