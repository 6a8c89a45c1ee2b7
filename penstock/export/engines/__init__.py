"""What runs the slices of an export."""
