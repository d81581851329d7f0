"""A plug-in for trainings in two processes: which clips a rank saw, and what noise its generator got."""

from pathlib import Path
from typing import Any

import ranks


class Probe(ranks.Probe):
    """Notes clips and noise of its rank."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self.seen |= {"noise": [], "clips": []}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.hook = pl_module.generator.register_forward_pre_hook(self._note_noise)

    def _note_noise(self, generator: Any, inputs: tuple[Any, ...]) -> None:
        self.seen["noise"].append(ranks.digest(inputs[:1]))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.seen["clips"].extend(ranks.digest([clip]) for clip in batch.joints)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.hook.remove()
        super().on_train_end(trainer, pl_module)
