"""One package per model; ``base.py`` holds what all of them share."""
