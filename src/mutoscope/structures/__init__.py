"""What flows through the house: skeletons, graphs, batches, samples, dataset descriptions."""

from mutoscope.structures.batches import MotionBatch, Sample
from mutoscope.structures.graph import partition_adjacency
from mutoscope.structures.info import DatasetInfo, Kind, Normaliser, RootRule, scalar_range
from mutoscope.structures.skeleton import CMU31, H36M15, H36M16, NTU25, SKELETONS, Skeleton, skeleton

__all__ = [
    "CMU31",
    "H36M15",
    "H36M16",
    "NTU25",
    "SKELETONS",
    "DatasetInfo",
    "Kind",
    "MotionBatch",
    "Normaliser",
    "RootRule",
    "Sample",
    "Skeleton",
    "partition_adjacency",
    "scalar_range",
    "skeleton",
]
