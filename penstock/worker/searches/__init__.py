"""Runs claimed search jobs: counts what they match, and keeps their newest events and common values."""
