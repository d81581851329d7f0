"""The action recognisers through which motion is measured."""

from mutoscope.models.recognizer.clip_network import ClipRecognizerNet
from mutoscope.models.recognizer.network import RecognizerNet

__all__ = ["ClipRecognizerNet", "RecognizerNet"]
