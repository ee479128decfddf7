"""The GPU engine: cuDF through its Polars engine, and bodies of the named kernels on pylibcudf."""
