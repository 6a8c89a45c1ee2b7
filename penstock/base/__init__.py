"""Small ideas that every room may use, one idea a module: the clock, durable files."""
