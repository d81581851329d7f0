"""SA-GCN: motions from action classes by attention over frames and a sparse sequence graph (Yu et al., ECCV 2020)."""

from mutoscope.models.sa_gcn.discriminators import ClipCritic, FrameCritic, Judgement
from mutoscope.models.sa_gcn.generator import VARIANTS, Generator, GraphOptions, variant_options
from mutoscope.models.sa_gcn.losses import critic_loss, generator_loss

__all__ = [
    "VARIANTS",
    "ClipCritic",
    "FrameCritic",
    "Generator",
    "GraphOptions",
    "Judgement",
    "critic_loss",
    "generator_loss",
    "variant_options",
]
