"""Will a display ad be clicked? The Criteo recipe: the pipeline, its contract and data of the same shape."""
