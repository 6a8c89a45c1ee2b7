"""The console: search, see and export in a browser. Static files that speak to the public API, and their serving."""
