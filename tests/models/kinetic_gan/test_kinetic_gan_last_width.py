"""The generator's wider hand-over to its last block."""

import torch

from mutoscope.models.kinetic_gan import Generator
from mutoscope.structures import NTU25

SMALL = {"latent": 8, "widths": (16, 16, 8, 8, 8), "mapping_depth": 0, "length": 16}


def test_default_is_the_papers_and_wider_changes_the_last_two_blocks_alone() -> None:
    paper = Generator(NTU25, 3, 4, **SMALL)  # type: ignore[arg-type]
    wide = Generator(NTU25, 3, 4, last_width=12, **SMALL)  # type: ignore[arg-type]
    a, b = ({n: tuple(v.shape) for n, v in g.state_dict().items()} for g in (paper, wide))
    different = {n.split(".")[1] for n in {*a, *b} if a.get(n) != b.get(n)}
    assert different == {"5", "6"}


def test_wider_generators_make_motions_and_learn_in_every_part() -> None:
    wide = Generator(NTU25, 3, 4, last_width=12, **SMALL)  # type: ignore[arg-type]
    motion = wide(torch.randn(3, 8), torch.tensor([0, 1, 2]))
    assert motion.shape == (3, 16, 25, 3)
    assert motion.abs().max() < 1
    motion.square().sum().backward()
    assert all(p.grad is not None for p in wide.parameters())
