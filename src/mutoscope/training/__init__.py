"""The trainer, its loggers and its callbacks."""
