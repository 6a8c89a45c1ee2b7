"""How the client downloads an export: ranges, the unfinished file, the check."""
