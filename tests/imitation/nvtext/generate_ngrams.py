"""Runs of characters and of strings."""

from __future__ import annotations

import pyarrow as pa
from pylibcudf.types import DataType, TypeId
from tests.imitation.arrays import Stream, made, ready
from tests.imitation.column import Column
from tests.imitation.scalar import Scalar


def generate_ngrams(
    input: Column, ngrams: int, separator: Scalar, stream: Stream | None = None, mr: None = None
) -> Column:
    """Each string joined with those of the rows after it; empty ones would be left out: there are none here."""
    ready(stream, mr, input=(input, Column), ngrams=(ngrams, int), separator=(separator, Scalar))
    texts = input._array.to_pylist()
    if ngrams < 2 or len(texts) < ngrams:
        raise RuntimeError("fewer than two, or not enough strings")
    if not all(texts):
        raise NotImplementedError("null or empty strings")
    joined = [separator._value.join(texts[n : n + ngrams]) for n in range(len(texts) - ngrams + 1)]
    return made(input.type(), pa.array(joined, input._array.type))


def generate_character_ngrams(input: Column, ngrams: int = 2, stream: Stream | None = None, mr: None = None) -> Column:
    """The runs of each string, an empty list for a null string and for one that is too short."""
    ready(stream, mr, input=(input, Column), ngrams=(ngrams, int))
    texts = [text or "" for text in input._array.to_pylist()]
    runs = [[text[n : n + ngrams] for n in range(len(text) - ngrams + 1)] for text in texts]
    if ngrams < 2 or not any(runs):
        raise RuntimeError("fewer than two, or not enough characters")
    return made(DataType(TypeId.LIST), pa.array(runs, pa.list_(input._array.type)))
