"""Every operator's result written by hand in Polars: what `benchmarks.operators` compares headrace with."""
