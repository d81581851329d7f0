"""What flows through the house: skeletons, graphs, batches, samples, dataset descriptions."""

from mutoscope.structures.batches import MotionBatch, Sample
from mutoscope.structures.graph import partition_adjacency
from mutoscope.structures.info import DatasetInfo, Kind, Normaliser, RootRule, scalar_range
from mutoscope.structures.pyramid import PYRAMIDS, GraphPyramid, PyramidLevel, derive_pyramid, pyramid_for
from mutoscope.structures.skeleton import CMU31, H36M15, H36M16, NTU25, SKELETONS, Skeleton, skeleton

__all__ = [
    "CMU31",
    "H36M15",
    "H36M16",
    "NTU25",
    "PYRAMIDS",
    "SKELETONS",
    "DatasetInfo",
    "GraphPyramid",
    "Kind",
    "MotionBatch",
    "Normaliser",
    "PyramidLevel",
    "RootRule",
    "Sample",
    "Skeleton",
    "derive_pyramid",
    "partition_adjacency",
    "pyramid_for",
    "scalar_range",
    "skeleton",
]
