"""The action recogniser through whose features motion is measured."""

from mutoscope.models.recognizer.network import RecognizerNet

__all__ = ["RecognizerNet"]
