"""A plug-in for trainings in two processes: what noise the generator got, and where the weights ended."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback
from torch import Tensor

from mutoscope.callbacks.generation_metrics import GenerationMetrics


def digest(tensors: Iterable[Tensor]) -> str:
    joined = b"".join(t.detach().cpu().contiguous().numpy().tobytes() for t in tensors)
    return hashlib.sha256(joined).hexdigest()


class Probe(Callback):
    """Writes down what its rank saw."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.seen: dict[str, Any] = {"noise": [], "clips": [], "weights": []}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.hook = pl_module.generator.register_forward_pre_hook(self._note_noise)

    def _note_noise(self, generator: Any, inputs: tuple[Any, ...]) -> None:
        self.seen["noise"].append(digest(inputs[:1]))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen["clips"].extend(digest([clip]) for clip in batch.joints)
        self.seen["weights"].append(
            {
                name: digest(p for network in networks for p in network.parameters())
                for name, networks in pl_module.networks().items()
            }
        )

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.hook.remove()
        generation = next(c for c in trainer.callbacks if isinstance(c, GenerationMetrics))
        self.seen["metrics"] = generation.measure(trainer, pl_module)
        self.seen["average"] = digest(pl_module.averaged.state_dict().values())
        (self.run_dir / f"rank{trainer.global_rank}.json").write_text(json.dumps(self.seen))
