"""Penstock takes security events out of an event lake: chosen fields, one encrypted file, provably complete."""

__version__ = "0.1.0"
