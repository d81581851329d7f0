"""Metrics as ``torchmetrics.Metric``: they eat plain tensors and reduce over processes by themselves."""

from mutoscope.metrics.actions import ActionRecall, ComposedAccuracy, TrackClassifier
from mutoscope.metrics.clip_sets import ClipMMD, class_mmd2
from mutoscope.metrics.common import Recognizer, TooFewSamplesError
from mutoscope.metrics.coverage import PrecisionRecall, share_within
from mutoscope.metrics.fidelity import PSNR, SSIM
from mutoscope.metrics.frechet import (
    FrechetDistance,
    FrechetTerms,
    frechet_distance,
    frechet_distance_of_features,
    frechet_terms,
)
from mutoscope.metrics.inception import ClassifierFID, FrameClassifier, InceptionScore, inception_score
from mutoscope.metrics.kernel import ClassifierKID, polynomial_mmd2, polynomial_mmd2_interval
from mutoscope.metrics.layout import LayoutIoU, box_iou_pairs, moving_objects
from mutoscope.metrics.lpips import LPIPS, LPIPSNetwork
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
from mutoscope.metrics.movement import MovementSpectrum
from mutoscope.metrics.moving import MovingMSE, MovingPSNR, MovingSSIM, motion_weights
from mutoscope.metrics.paper import PRESETS, SAGCNMMD, KineticGANMMD, kinetic_gan_mmd, paper_mmd, sa_gcn_mmd
from mutoscope.metrics.people import DetectionDistance, MissedDetections, PersonDetector
from mutoscope.metrics.protocol import MetricValue, Protocol, bootstrap_interval, compare, state_hash
from mutoscope.metrics.steering import (
    ActionConfusion,
    ActionInformation,
    ChanceInformation,
    DrawnMaskIoU,
    MaskIoU,
    ShiftAngleAccuracy,
    ShiftError,
)
from mutoscope.metrics.tracks import (
    DestinationError,
    TimingAccuracy,
    onsets_of_pixels,
    onsets_of_tracks,
    timing_accuracy,
)
from mutoscope.metrics.video import FrameError
from mutoscope.metrics.warping import WarpingError

__all__ = [
    "LPIPS",
    "PRESETS",
    "PSNR",
    "SAGCNMMD",
    "SSIM",
    "ActionConfusion",
    "ActionInformation",
    "ActionRecall",
    "BoneDrift",
    "ChanceInformation",
    "ClassifierFID",
    "ClassifierKID",
    "ClipMMD",
    "ComposedAccuracy",
    "DestinationError",
    "DetectionDistance",
    "Diversity",
    "DrawnMaskIoU",
    "FootSkate",
    "FrameClassifier",
    "FrameError",
    "FrechetDistance",
    "FrechetTerms",
    "InceptionScore",
    "Jerk",
    "KineticGANMMD",
    "LPIPSNetwork",
    "LayoutIoU",
    "MaskIoU",
    "MaximumMeanDiscrepancy",
    "MetricValue",
    "MissedDetections",
    "MotionFID",
    "MotionMMD",
    "MotionMetric",
    "MovementSpectrum",
    "MovingMSE",
    "MovingPSNR",
    "MovingSSIM",
    "Multimodality",
    "NearestTrainingDistance",
    "PersonDetector",
    "PrecisionRecall",
    "Protocol",
    "RecognitionAccuracy",
    "Recognizer",
    "ShiftAngleAccuracy",
    "ShiftError",
    "TimingAccuracy",
    "TooFewSamplesError",
    "TrackClassifier",
    "WarpingError",
    "bootstrap_interval",
    "box_iou_pairs",
    "class_mmd2",
    "compare",
    "frechet_distance",
    "frechet_distance_of_features",
    "frechet_terms",
    "inception_score",
    "kinetic_gan_mmd",
    "mmd2",
    "mmd2_interval",
    "mmd2_p_value",
    "motion_weights",
    "moving_objects",
    "onsets_of_pixels",
    "onsets_of_tracks",
    "paper_mmd",
    "polynomial_mmd2",
    "polynomial_mmd2_interval",
    "sa_gcn_mmd",
    "share_within",
    "state_hash",
    "timing_accuracy",
]
