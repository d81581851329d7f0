"""A plug-in for trainings in several processes: data that differ in kind from rank to rank, and who saw what."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import ranks

from mutoscope.data.action_graph.cater import Cater
from mutoscope.data.registry import register
from mutoscope.structures import ActionGraphBatch, ActionGraphPair


def without_actions(batch: ActionGraphBatch) -> ActionGraphBatch:
    names = ("subject", "action", "object", "progress", "destination")
    none = {name: getattr(batch.graph, name)[:0] for name in names}
    return replace(batch, graph=replace(batch.graph, **none))


@register("quiet_cater")
class QuietCater(Cater):
    """CATER, in which nothing ever happens on the second rank, and on the first every other time."""

    batches = 0

    def on_before_batch_transfer(self, batch: ActionGraphPair, dataloader_idx: int) -> ActionGraphPair:
        self.batches += 1
        assert self.trainer is not None
        if self.trainer.global_rank == 1 or self.batches % 2 == 0:
            return ActionGraphPair(without_actions(batch.frames), without_actions(batch.layout))
        return batch


class Probe(ranks.Probe):
    """Notes which clips its rank saw, and how many actions were in them."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self.seen |= {"frames": [], "layout": [], "actions": []}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.seen["frames"].append(batch.frames.names)
        self.seen["layout"].append(batch.layout.names)
        self.seen["actions"].append([batch.frames.graph.num_actions, batch.layout.graph.num_actions])
