"""Errors that speak to the person who typed."""

from mutoscope.runtime.files import refusal_sentence, storage_refusal


class ConfigError(ValueError):
    """A config that cannot work; the message is one sentence for the person who wrote it."""


class RunError(RuntimeError):
    """A run that could not go on; the message says why, what stands, and may end with a command on its own line."""


def sentence_of(error: BaseException) -> str:
    """What to say of an error: its own message on one line, or which file the disk refused."""
    if isinstance(error, RunError):
        return str(error)
    if (refusal := storage_refusal(error)) is not None:
        return refusal_sentence(refusal)
    return " ".join(str(error).split()) or f"{type(error).__name__} without a message; debug=true shows where."
