"""Configs: where they lie, how their nodes are checked and built, and what fits together."""
