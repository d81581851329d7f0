"""Skeleton motion: labels in, clips out, measured against training clips and shown class by class."""

from mutoscope.kinds.motion.settings import MotionOptions, MotionRequest
from mutoscope.kinds.registry import DataKind

KIND = DataKind(
    name="motion",
    title="skeleton motion",
    request=MotionRequest,
    options=MotionOptions,
    tools="mutoscope.kinds.motion.tools.MotionTools",
)
