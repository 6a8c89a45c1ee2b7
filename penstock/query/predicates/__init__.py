"""A tree as a Polars expression: by column, and over the values in the overflow."""
