"""Skeleton motion: labels in, clips out, measured against training clips and shown class by class."""
