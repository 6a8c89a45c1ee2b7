"""What an export contains, signed, and the check of a file against it."""
