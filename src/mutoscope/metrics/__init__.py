"""Metrics as ``torchmetrics.Metric``: they eat plain tensors and reduce over processes by themselves."""

from mutoscope.metrics.common import Recognizer, TooFewSamplesError
from mutoscope.metrics.frechet import (
    FrechetDistance,
    FrechetTerms,
    frechet_distance,
    frechet_distance_of_features,
    frechet_terms,
)
from mutoscope.metrics.mmd import MaximumMeanDiscrepancy, mmd2, mmd2_interval, mmd2_p_value
from mutoscope.metrics.motion import (
    BoneDrift,
    Diversity,
    FootSkate,
    Jerk,
    MotionFID,
    MotionMetric,
    MotionMMD,
    Multimodality,
    NearestTrainingDistance,
    RecognitionAccuracy,
)
from mutoscope.metrics.paper import PRESETS, SAGCNMMD, KineticGANMMD, kinetic_gan_mmd, paper_mmd, sa_gcn_mmd
from mutoscope.metrics.protocol import MetricValue, Protocol, bootstrap_interval, compare, state_hash

__all__ = [
    "PRESETS",
    "SAGCNMMD",
    "BoneDrift",
    "Diversity",
    "FootSkate",
    "FrechetDistance",
    "FrechetTerms",
    "Jerk",
    "KineticGANMMD",
    "MaximumMeanDiscrepancy",
    "MetricValue",
    "MotionFID",
    "MotionMMD",
    "MotionMetric",
    "Multimodality",
    "NearestTrainingDistance",
    "Protocol",
    "RecognitionAccuracy",
    "Recognizer",
    "TooFewSamplesError",
    "bootstrap_interval",
    "compare",
    "frechet_distance",
    "frechet_distance_of_features",
    "frechet_terms",
    "kinetic_gan_mmd",
    "mmd2",
    "mmd2_interval",
    "mmd2_p_value",
    "paper_mmd",
    "sa_gcn_mmd",
    "state_hash",
]
