"""Kernel `hash64` on the device, for strings; integers are arithmetic that both engines run as it stands.

The contract stands in `headrace.engines.kernels.xxhash64`.
"""

from __future__ import annotations

import polars as pl
import pylibcudf as plc

from headrace.engines.gpu.frame import DeviceFrame
from headrace.engines.kernels.xxhash64 import Hash64


def gpu(rows: DeviceFrame, kernel: Hash64) -> DeviceFrame:
    """Hash a string column's UTF-8 bytes with libcudf's XXH64.

    libcudf gives a null the greatest UInt64; here it stays null. `seed` is below 2^64.
    """
    stream = rows.stream
    value = rows.column(kernel.column)
    hashed = plc.hashing.xxhash_64(plc.Table([value]), kernel.seed, stream=stream)
    if value.null_count():
        nothing = plc.Scalar.from_py(None, plc.DataType(plc.TypeId.UINT64), stream=stream)
        hashed = plc.copying.copy_if_else(hashed, nothing, plc.unary.is_valid(value, stream=stream), stream=stream)
    return rows.with_column(kernel.output, hashed, pl.UInt64())
