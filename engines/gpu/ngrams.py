"""Kernel `ngrams` on the device: runs by libcudf's text functions, hashed as one column of all runs."""

from __future__ import annotations

from typing import Final

import pylibcudf as plc
from rmm.pylibrmm.stream import Stream

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.kernels.ngrams import OUTPUT, Ngrams, Runs

_INT32: Final = plc.DataType(plc.TypeId.INT32)
_UINT64: Final = plc.DataType(plc.TypeId.UINT64)


def gpu(rows: DeviceFrame, kernel: Ngrams) -> DeviceFrame:
    """The rows with the lists beside them; memory for every run's text, once."""
    texts, runs, stream = rows.column(kernel.column), kernel.runs, rows.stream
    words = _words(texts, stream) if runs.unit == "word" else None
    counted = (
        plc.strings.attributes.count_characters(texts, stream=stream)
        if words is None
        else plc.lists.count_elements(words, stream=stream)
    )
    parts = plc.replace.replace_nulls(counted, _int32(0, stream), stream=stream)
    sizes = _binary(parts, _int32(runs.n - 1, stream), plc.binaryop.BinaryOperator.SUB, stream)
    sizes = _binary(sizes, _int32(0, stream), plc.binaryop.BinaryOperator.NULL_MAX, stream)
    zeros = plc.Column.from_scalar(_int32(0, stream), rows.height, stream=stream)
    first = zeros if words is None else _firsts(words, rows.height, stream)
    places = plc.lists.sequences(first, sizes, stream=stream).list_view()
    if places.child().size() == 0:  # libcudf raises where there is no run at all
        hashed = places.child()
    elif words is None:
        made = plc.nvtext.generate_ngrams.generate_character_ngrams(texts, runs.n, stream=stream)
        hashed = _hashed(made.list_view().child(), runs, stream)
    else:
        hashed = _hashed(_word_runs(words.list_view().child(), places.child(), runs, stream), runs, stream)
    lists = plc.Column(plc.DataType(plc.TypeId.LIST), rows.height, None, None, 0, 0, [places.offsets(), hashed])
    if texts.null_count():
        mask, nulls = plc.null_mask.bitmask_and([texts], stream=stream)
        lists = lists.with_mask(mask, nulls)
    return rows.with_column(kernel.output, lists, OUTPUT)


def _words(texts: plc.Column, stream: Stream) -> plc.Column:
    """The words of each text; the empty delimiter stands for white space."""
    space = plc.Scalar.from_py("", plc.DataType(plc.TypeId.STRING), stream=stream)
    return plc.strings.split.split.split_record(texts, space, -1, stream=stream)


def _firsts(lists: plc.Column, rows: int, stream: Stream) -> plc.Column:
    """Where the elements of each list begin among those of all."""
    [firsts] = plc.copying.slice(lists.list_view().offsets(), [0, rows], stream=stream)
    return firsts


def _word_runs(words: plc.Column, places: plc.Column, runs: Runs, stream: Stream) -> plc.Column:
    """The runs that begin at these places, of words of one text each."""
    made = words
    if runs.n > 1:
        space = plc.Scalar.from_py(runs.separator, plc.DataType(plc.TypeId.STRING), stream=stream)
        made = plc.nvtext.generate_ngrams.generate_ngrams(words, runs.n, space, stream=stream)
    bounds = plc.copying.OutOfBoundsPolicy.DONT_CHECK
    [found] = plc.copying.gather(plc.Table([made]), places, bounds, stream=stream).columns()
    return found


def _hashed(texts: plc.Column, runs: Runs, stream: Stream) -> plc.Column:
    hashes = plc.hashing.xxhash_64(plc.Table([texts]), runs.seed, stream=stream)
    buckets = plc.Scalar.from_py(runs.buckets, _UINT64, stream=stream)
    left = plc.binaryop.binary_operation(hashes, buckets, plc.binaryop.BinaryOperator.MOD, _UINT64, stream=stream)
    return plc.unary.cast(left, _INT32, stream=stream)


def _binary(left: plc.Column, right: plc.Scalar, operator: plc.binaryop.BinaryOperator, stream: Stream) -> plc.Column:
    return plc.binaryop.binary_operation(left, right, operator, _INT32, stream=stream)


def _int32(value: int, stream: Stream) -> plc.Scalar:
    return plc.Scalar.from_py(value, _INT32, stream=stream)
