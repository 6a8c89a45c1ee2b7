"""Commands of whoever runs a service: its home, its processes, its communities, keys and store."""
