"""Datasets of video in which one agent moves, one file each."""
