"""Structures -> pixels and pages."""
