"""Raw Parquet in, versioned training-ready datasets out."""
