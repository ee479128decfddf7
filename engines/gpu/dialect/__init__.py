"""What Polars means, said in what libcudf computes: where the two differ, a query is rewritten as it is translated."""
