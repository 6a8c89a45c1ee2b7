"""Reading a snapshot: plan, merge, scan, names of fields."""
