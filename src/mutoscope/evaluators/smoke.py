"""Networks of published shapes with weights that were drawn: for trying programs out, never for measuring.

They are had by asking, ``weights: smoke`` in a metric's settings, and by nothing else; whatever is measured through one
is called ``smoke/...`` wherever it is written, and its protocol names drawn weights.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from mutoscope.formats.weights import SMOKE
from mutoscope.metrics.protocol import state_hash


def drawn(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """He-initialised convolutions and statistics of batch normalisation as a trained network might have them."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif key.endswith("running_mean") or (key.endswith("bias") and value.ndim == 1):
            value.normal_(0, 0.1, generator=generator)
        elif value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        else:
            value.fill_(1)
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


@lru_cache(maxsize=4)
def drawn_weights(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """Weights for what ``make`` builds, the same every time; not to be changed."""
    with torch.device("meta"):
        network = make()
    return drawn(network.to_empty(device="cpu"))


def smoke_digest(state: dict[str, Tensor]) -> str:
    """What protocols name as the extractor behind such weights."""
    return f"{SMOKE}-{state_hash(state)}"


def is_smoke(metric: Metric) -> bool:
    """Whether a metric looks through a network whose weights were drawn."""
    networks = (getattr(metric, name, None) for name in ("classifier", "network"))
    return any(str(getattr(network, "digest", "")).startswith(f"{SMOKE}-") for network in networks)
