"""What the comparison on a GPU is made of; `benchmarks.gpu_compare` runs it. Nothing here needs a GPU to be imported."""
