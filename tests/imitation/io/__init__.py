"""Files. Of what pylibcudf has, chunked Parquet writing and reading by row groups."""

from __future__ import annotations

from tests.imitation.io import parquet, types
from tests.imitation.io.types import SinkInfo, SourceInfo, TableWithMetadata

__all__ = ["SinkInfo", "SourceInfo", "TableWithMetadata", "parquet", "types"]
