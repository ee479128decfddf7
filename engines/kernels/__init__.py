"""Operations that cudf-polars lacks: one contract, a body per engine, a parity test each.

Each module holds one kernel. `cpu` is its body on Polars; `stand_in` gives frames of the same schema from expressions
that do translate, so that the translation check can look past the kernel at the rest of the query.
"""
