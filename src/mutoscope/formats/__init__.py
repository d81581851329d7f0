"""Bytes <-> structures, nothing else: one file per format."""
