"""The tables of the control plane, and what makes them the same on SQLite and on PostgreSQL."""
