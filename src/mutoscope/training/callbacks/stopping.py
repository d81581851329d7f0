"""Stopping in order when someone asks for it: all processes after the same iteration."""

from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mutoscope.runtime.interrupts import INTERRUPTS


@dataclass
class _Question:
    """Whether any process was asked to stop, on its way between them."""

    asked: Tensor
    work: Any

    def answer(self) -> bool:
        self.work.wait()
        return bool(self.asked)


class StopOnRequest(Callback):
    """From the first iteration on, Ctrl-C and SIGTERM end the training after the iteration in hand.

    It goes before callbacks that measure, draw or write checkpoints: they read from ``trainer.should_stop`` that this
    is the last iteration. Several processes ask each other without waiting, and learn the answer an iteration later.
    """

    def __init__(self) -> None:
        self._group: Any = None
        self._question: _Question | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            # on the host whatever the device, so that no step waits for the device
            self._group = torch.distributed.new_group(backend="gloo")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        INTERRUPTS.defer()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._group is None:
            stop = INTERRUPTS.requested
        else:
            before, self._question = self._question, self._ask()
            stop = before is not None and before.answer()
        if stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._question is not None:
            self._question.work.wait()
        INTERRUPTS.heed()

    def _ask(self) -> _Question:
        asked = torch.tensor(float(INTERRUPTS.requested))
        work = torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=self._group, async_op=True)
        return _Question(asked, work)
