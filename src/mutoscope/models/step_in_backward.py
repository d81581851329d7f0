"""Optimiser steps taken while gradients are still being computed, so that they never all exist at once."""

from types import TracebackType

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

#: bytes of complete gradients that are collected before a step
COLLECTED = 2**25


class step_in_backward:  # noqa: N801 - used like a function, as torch.no_grad
    """Context of one backward pass, in which parameters are stepped as soon as their gradients are complete.

    The optimiser must treat parameters one by one, as Adam and SGD do: the result is then that of one step after the
    pass. What is left at the end is not stepped. Gradients that were stepped are freed, so nothing may read them
    afterwards; in particular they cannot be clipped by their common norm, unscaled, or exchanged between processes.

    Args:
        optimizer: of the parameters; those frozen on entering are left alone.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        #: scalars on the device: the squared norm of the gradients of every step taken
        self.squares: list[Tensor] = []
        self._collected = 0
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> "step_in_backward":
        moved = (p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad)
        self._hooks = [p.register_post_accumulate_grad_hook(self._collect) for p in moved]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _collect(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self._collected += parameter.grad.nbytes
        if self._collected < COLLECTED:
            return
        complete = [p.grad for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.squares.append(torch.nn.utils.get_total_norm(complete).square())
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._collected = 0
