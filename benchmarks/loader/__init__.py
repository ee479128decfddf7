"""The loader beside what it decodes with, beside its peers, and beside its promises. `python -m benchmarks.loader`."""
