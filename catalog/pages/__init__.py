"""HTML pages of a catalog: one of a dataset's version, and an index of all datasets."""
