"""What the comparison on a GPU is made of; `benchmarks.gpu_compare` runs it."""
