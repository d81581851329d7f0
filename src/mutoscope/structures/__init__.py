"""What flows through the house: skeletons, graphs, batches, samples, dataset descriptions."""

from mutoscope.structures.action_graph import ActionEdge, ActionGraph, Box, GraphError, GraphObject
from mutoscope.structures.batches import (
    ActionGraphBatch,
    ActionGraphPair,
    ActionGraphSample,
    MotionBatch,
    MotionSample,
    Sample,
    VideoBatch,
    VideoSample,
)
from mutoscope.structures.clocked import ClockedGraph
from mutoscope.structures.graph import partition_adjacency
from mutoscope.structures.info import DatasetInfo, Kind, RootRule
from mutoscope.structures.normaliser import Normaliser, scalar_range
from mutoscope.structures.recipes import Timing, down_left, early_late, huddle, right_up, single, swap
from mutoscope.structures.skeleton import CMU31, H36M15, H36M16, NTU25, SKELETONS, Skeleton, skeleton
from mutoscope.structures.vocabulary import CATER_VOCABULARY, ActionVocabulary, something_vocabulary

__all__ = [
    "CATER_VOCABULARY",
    "CMU31",
    "H36M15",
    "H36M16",
    "NTU25",
    "SKELETONS",
    "ActionEdge",
    "ActionGraph",
    "ActionGraphBatch",
    "ActionGraphPair",
    "ActionGraphSample",
    "ActionVocabulary",
    "Box",
    "ClockedGraph",
    "DatasetInfo",
    "GraphError",
    "GraphObject",
    "Kind",
    "MotionBatch",
    "MotionSample",
    "Normaliser",
    "RootRule",
    "Sample",
    "Skeleton",
    "Timing",
    "VideoBatch",
    "VideoSample",
    "down_left",
    "early_late",
    "huddle",
    "partition_adjacency",
    "right_up",
    "scalar_range",
    "single",
    "skeleton",
    "something_vocabulary",
    "swap",
]
