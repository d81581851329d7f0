"""Measuring results that no model of this house has made."""
