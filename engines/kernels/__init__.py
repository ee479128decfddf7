"""Operations that cudf-polars lacks: one contract, a body per engine, a parity test each.

Each module holds one kernel and its contract. What only the GPU cannot say in expressions is a `Kernel` (see
`headrace.engines.engine`), which every engine runs by a body of its own. What every engine can run, and Polars does
faster in another way, is a function of the engine.
"""
