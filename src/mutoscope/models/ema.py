"""Exponential moving average of a generator, keyed on samples seen rather than on steps."""

import copy

import torch
from torch import Tensor, nn


class GeneratorEMA(nn.Module):
    """A second copy of a network whose weights trail the first.

    Keying the decay on samples makes it independent of batch size, accumulation and number of processes. Averaged are
    parameters and floating-point buffers (batch-norm statistics); other buffers are copied.

    Args:
        network: the network to follow.
        half_life: samples after which a weight's influence has halved.
        ramp: the half-life is at most ``ramp`` times the samples seen, so that the random start is forgotten soon.
    """

    def __init__(self, network: nn.Module, half_life: float, ramp: float = 0.05) -> None:
        super().__init__()
        if half_life <= 0:
            raise ValueError(f"The EMA half-life is {half_life} samples, expected a positive number.")
        self.half_life, self.ramp = half_life, ramp
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "GeneratorEMA":
        """The averaged network is always in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def update(self, network: nn.Module, samples: int, samples_seen: int) -> None:
        """Move towards ``network`` after ``samples`` more samples, ``samples_seen`` in all."""
        half_life = min(self.half_life, max(self.ramp * samples_seen, 1e-8))
        weight = 1.0 - 0.5 ** (samples / half_life)
        mine: list[Tensor] = []
        theirs: list[Tensor] = []
        own = [*self.network.parameters(), *self.network.buffers()]
        for average, value in zip(own, [*network.parameters(), *network.buffers()], strict=True):
            if average.is_floating_point():
                mine.append(average)
                theirs.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(mine, theirs, weight)
