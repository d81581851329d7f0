"""The classifier of box tracks that tells whether layouts show the actions asked for."""

from mutoscope.models.track_classifier.network import TrackClassifierNet

__all__ = ["TrackClassifierNet"]
