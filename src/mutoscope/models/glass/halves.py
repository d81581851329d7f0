"""Halves of GLASS that were trained before, apart or together: where their weights are taken from."""

from pathlib import Path
from typing import Literal, TypedDict, get_args

from torch import Tensor, nn

from mutoscope.formats.checkpoints import read_checkpoint, read_exported
from mutoscope.formats.missing import find_checkpoint

Half = Literal["global_motion", "local_motion"]
HALVES: tuple[Half, ...] = get_args(Half)


class StartFrom(TypedDict, total=False):
    """Where each half begins: an exported half, or any run, checkpoint or export of GLASS that holds it."""

    global_motion: str | None
    local_motion: str | None


def prefix_of(half: Half) -> str:
    """What the names of a half's weights begin with, in checkpoints and exports."""
    return f"network.{half}."


def read_half(path: Path, half: Half) -> dict[str, Tensor]:
    """The weights of a half by their names within it.

    Raises:
        CheckpointError: if there is nothing that can be read.
        ValueError: if it holds no such half.
    """
    found = find_checkpoint(path)
    data = read_exported(found) if found.is_dir() else read_checkpoint(found)
    prefix = prefix_of(half)
    weights = {name.removeprefix(prefix): x for name, x in data["state_dict"].items() if name.startswith(prefix)}
    if not weights:
        raise ValueError(
            f"model.start_from.{half} is {path}, which holds no weights of {half}; name a GLASS that does."
        )
    return weights


def load_half(network: nn.Module, half: Half, path: Path) -> None:
    """Give a half its weights.

    Raises:
        CheckpointError, ValueError: see :func:`read_half`; and for weights of another shape than the settings say.
    """
    theirs, mine = read_half(path, half), network.state_dict()
    for name in [*mine, *theirs]:
        shapes = [list(state[name].shape) if name in state else "missing" for state in (mine, theirs)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"model.start_from.{half} is {path}, where '{name}' is {shapes[1]}, but {shapes[0]} in the model; set "
                f"model.{half} as it was trained."
            )
    network.load_state_dict(theirs)
