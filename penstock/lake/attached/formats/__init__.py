"""How each kind of table says which files a version of it has: parquet, delta, iceberg; `listing` is what they find."""
