"""A plug-in for trainings in several processes: data that differ in kind from rank to rank, and who saw what."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback
from torch import Tensor

from mutoscope.callbacks.generation_metrics import GenerationMetrics
from mutoscope.data.cater import Cater
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


def digest(tensors: Iterable[Tensor]) -> str:
    joined = b"".join(t.detach().cpu().contiguous().numpy().tobytes() for t in tensors)
    return hashlib.sha256(joined).hexdigest()


class Probe(Callback):
    """Writes down what its rank saw and where its weights ended."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.seen: dict[str, Any] = {"frames": [], "layout": [], "actions": [], "weights": []}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen["frames"].append(batch.frames.names)
        self.seen["layout"].append(batch.layout.names)
        self.seen["actions"].append([batch.frames.graph.num_actions, batch.layout.graph.num_actions])
        self.seen["weights"].append(
            {
                name: digest(p for network in networks for p in network.parameters())
                for name, networks in pl_module.networks().items()
            }
        )

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        generation = next(c for c in trainer.callbacks if isinstance(c, GenerationMetrics))
        self.seen["metrics"] = generation.measure(trainer, pl_module)
        self.seen["average"] = digest(pl_module.averaged.state_dict().values())
        (self.run_dir / f"rank{trainer.global_rank}.json").write_text(json.dumps(self.seen))
