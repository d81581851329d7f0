"""Checkpoints of before: where frames are only warped, networks stood beside that drew nothing."""

from collections.abc import Mapping
from typing import Any

from mutoscope.models.ag2vid.generator import Generator

#: below the generator, and below its average
_DREW_NOTHING = ("_generator.frames.fuse.", "_generator.frames.generator.")
_AVERAGED = ("ema.network.frames.fuse.", "ema.network.frames.generator.")


def without_undrawn(checkpoint: dict[str, Any], generator: Generator, optimizer: int) -> None:
    """Leave out, in place, what only warps needs no more: weights, and their places among those that were moved.

    Args:
        checkpoint: of any age.
        generator: without a residual.
        optimizer: number of the one that moves appearance and frames.
    """
    weights: Mapping[str, Any] = checkpoint["state_dict"]
    kept = {name: value for name, value in weights.items() if not name.startswith((*_DREW_NOTHING, *_AVERAGED))}
    if len(kept) == len(weights):
        return
    checkpoint["state_dict"] = kept
    states = checkpoint.get("optimizer_states", [])
    if optimizer >= len(states):
        return
    # they stood behind the flow network; what comes after moves up by as many
    frames = generator.frames
    first = sum(1 for part in (generator.appearance, frames.attributes, frames.flow) for _ in part.parameters())
    now = sum(1 for part in (generator.appearance, frames) for _ in part.parameters())
    stored = states[optimizer]
    (group,) = stored["param_groups"]
    gone = len(group["params"]) - now
    states[optimizer] = {
        "state": {
            place if place < first else place - gone: moments
            for place, moments in stored["state"].items()
            if not first <= place < first + gone
        },
        "param_groups": [{**group, "params": list(range(now))}],
    }
