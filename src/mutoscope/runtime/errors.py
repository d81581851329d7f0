"""Errors that speak to the person who typed."""


class ConfigError(ValueError):
    """A config that cannot work; the message is one sentence for the person who wrote it."""
