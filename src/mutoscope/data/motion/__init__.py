"""Datasets of skeleton motion, one file each."""
