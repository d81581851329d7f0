"""A plug-in for trainings in two processes: which clips of characters a rank saw."""

from pathlib import Path
from typing import Any

import ranks


class Probe(ranks.Probe):
    """Notes the clips of its rank."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self.seen |= {"clips": []}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.seen["clips"].append(ranks.digest([batch.frames]))


class Restarts(Probe):
    """Notes the codes of its rank too, and what the optimiser remembers of their direction."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self.seen |= {"codes": [], "idle": [], "momentum": []}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        codes = pl_module.network.local_motion.actions.codes
        states = [optimizer.state[codes] for optimizer in trainer.optimizers if codes in optimizer.state]
        self.seen["codes"].append(codes.tolist())
        self.seen["idle"].append(pl_module.restarts.idle.tolist())
        self.seen["momentum"].append([state["exp_avg"].tolist() for state in states])
