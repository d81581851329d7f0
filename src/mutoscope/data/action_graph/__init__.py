"""Datasets of video with action graphs, one file each."""
