"""Bytes to frames: sources, documents, lines, Parquet; what cannot be taken in is kept and named."""
