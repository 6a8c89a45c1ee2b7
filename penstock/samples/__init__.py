"""The made-up company, and the sample events of it."""
