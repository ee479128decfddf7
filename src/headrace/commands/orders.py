"""The sample data of a new project: made-up orders of a shop, half a year of them, a few of them damaged."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

ROWS_A_MONTH: Final = 4_000
MONTHS: Final = 6
DAMAGED: Final = 12
_START: Final = datetime(2025, 1, 1)
_PRODUCTS: Final = ("shoes", "shirt", "coat", "lamp", "book", "chair")
_SCHEMA: Final[dict[str, type[pl.DataType]]] = {
    "order_id": pl.Int64,
    "ordered_at": pl.Datetime,
    "customer": pl.String,
    "country": pl.String,
    "product": pl.String,
    "price": pl.Float64,
    "quantity": pl.Int64,
    "returned": pl.Boolean,
}


def write_orders(folder: Path, seed: int = 2025) -> list[Path]:
    """Write `orders-2025-01.parquet` to `orders-2025-06.parquet`; the same rows for the same seed."""
    draw = random.Random(seed)
    # Some customers send back much, some nothing: this is what TargetEncode finds.
    habits = {f"c{number:04d}": draw.gauss(0.0, 1.0) for number in range(800)}
    customers = list(habits)
    paths = []
    for month in range(1, MONTHS + 1):
        first, end = _START.replace(month=month), _START.replace(month=month + 1)
        rows = [
            _order(draw, (month - 1) * ROWS_A_MONTH + i, first, end - first, customers, habits)
            for i in range(ROWS_A_MONTH)
        ]
        for i in range(DAMAGED // MONTHS):
            rows[draw.randrange(len(rows))].update({"price": -1.0} if i % 2 else {"country": "??"})
        frame = pl.DataFrame(rows, schema=_SCHEMA).sort("ordered_at")
        paths.append(folder / f"orders-2025-{month:02d}.parquet")
        frame.write_parquet(paths[-1])
    return paths


def _order(
    draw: random.Random,
    number: int,
    first: datetime,
    span: timedelta,
    customers: list[str],
    habits: dict[str, float],
) -> dict[str, Any]:
    customer, product = draw.choice(customers), draw.choice(_PRODUCTS)
    price = round(math.exp(draw.gauss(3.4, 0.7)), 2)
    inclination = habits[customer] + 0.5 * math.log(price / 30) + {"shoes": 1.0, "shirt": 0.6}.get(product, -0.4)
    return {
        "order_id": number,
        "ordered_at": first + timedelta(seconds=draw.randrange(int(span.total_seconds()))),
        "customer": customer,
        "country": draw.choice(("AT", "CH", "DE", "FR", "IT")),
        "product": None if draw.random() < 0.02 else product,
        "price": price,
        "quantity": min(20, 1 + int(draw.expovariate(1.2))),
        "returned": draw.random() < 1 / (1 + math.exp(1.5 - inclination)),
    }
