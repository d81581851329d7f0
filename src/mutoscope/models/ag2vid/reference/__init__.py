"""Checkpoints of the original AG2Vid code."""
