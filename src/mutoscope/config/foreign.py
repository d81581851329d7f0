"""What is taken from a model's file, whoever wrote it: settings within limits, no places, memory as weights need."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as module_hooks
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from mutoscope.config.nodes import check_dataset
from mutoscope.formats.checkpoints import CheckpointError
from mutoscope.formats.plain_files import shown
from mutoscope.formats.state_dicts import bytes_held
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError

#: no size of a network is larger
_MAX_SIZE = 10_000_000
#: nor does a file ask for more data than this; who wants more types it
_MAX_DATA = 10_000
#: of every size that is none: seeds, and what counts steps, samples or batches of a training
_NO_SIZES = ("seed", "half_life", "steps", "samples", "iterations", "epoch", "T_max", "milestones")
#: settings of a dataset that are matters of the machine it was prepared on
_MACHINE = ("cache_dir", "cache_workers", "num_workers")
#: of building: times the bytes of a file's weights, bytes, and operations and modules for each of its tensors
_TIMES, _BYTES, _PER_TENSOR, _STEPS = 8, 64 * 2**20, 50, 5_000


@contextmanager
def from_file(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a model's description is an error of its file.

    Raises:
        CheckpointError: naming the file.
    """
    try:
        yield
    except ValueError as error:
        # a constructor's own sentence
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:
        # settings that no constructor foresaw fail in it in a hundred ways
        reason = " ".join(str(error).split())[:300] or "no reason was given"
        raise CheckpointError(
            f"{path} describes no model that can be built ({type(error).__name__}): {reason}"
        ) from error


def portable_model(node: Any) -> dict[str, Any]:
    """The settings of a model as they are taken from a file: no places, nothing compiled.

    Raises:
        ConfigError: for settings that cannot be meant: interpolations, which nobody resolves, and enormous numbers.
    """
    settings = _final(node, "model", _MAX_SIZE)
    if "compile_networks" in settings:
        settings["compile_networks"] = False
    return {key: _without_places(value) for key, value in settings.items()}


def _without_places(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _without_places(value) for key, value in node.items()}
    return None if _is_absolute(node) else node


def taken_dataset(trained: Mapping[str, Any], typed: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """The dataset of a model's file with what a person typed: never its cache; its folders are named before being read.

    Args:
        trained: from the file.
        typed: wins.
        whose: the file.

    Raises:
        CheckpointError: for settings that cannot be meant.
    """
    kept = {key: value for key, value in trained.items() if key not in typed and key not in _MACHINE}
    with from_file(Path(whose)):
        settings = _final(kept, "dataset", _MAX_DATA)
        if "name" in trained:
            check_dataset({"name": trained["name"], **settings}, complete=False)
    if (cache := trained.get("cache_dir")) is not None and "cache_dir" not in typed:
        say(f"The cache of {whose}, {shown(cache)}, is left aside for yours; dataset.cache_dir=<folder> names another.")
    if places := [f"dataset.{key}={shown(value)}" for key, value in settings.items() if is_place(value)]:
        say(f"Reading the data that {whose} names: {', '.join(places)}; type other places to read those.")
    return {**settings, **typed}


def is_place(value: Any) -> bool:
    """Whether a setting names a place on a machine: an absolute path, one from home or from here."""
    return isinstance(value, str) and ("/" in value or "\\" in value or value.startswith((".", "~")))


def _is_absolute(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("/", "\\", "~", "."))


def _final(node: Any, where: str, largest: int) -> Any:
    """A copy of settings in which nothing is left to be resolved and no number is beyond all sizes."""
    if isinstance(node, Mapping):
        if "_target_" in node and where.startswith("dataset"):
            raise ConfigError(f"{where} has a _target_, but settings of datasets are plain text, numbers and lists.")
        return {key: _final(value, f"{where}.{shown(key)}", largest) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_final(value, f"{where}[{i}]", largest) for i, value in enumerate(node)]
    if isinstance(node, str) and "${" in node:
        raise ConfigError(f"{where} is '{shown(node)}'; interpolations are not resolved in a model's file.")
    if isinstance(node, int | float) and not isinstance(node, bool):
        counted = any(part in where.rpartition(".")[2] for part in _NO_SIZES)
        bound = 2**63 if counted else largest
        # infinities switch bounds off
        if isinstance(node, int) and abs(node) > bound:
            name = "type it if you mean it" if where.startswith("dataset") else "no network is as large"
            raise ConfigError(f"{where} is {shown(node)}, expected at most {bound:,}; {name}.")
    elif node is not None and not isinstance(node, bool | str):
        raise ConfigError(f"{where} is a {type(node).__name__}, expected text, numbers, or lists and mappings of them.")
    return node


#: bytes of what operations make, by operation and shapes: a network repeats its own, and models are loaded repeatedly
_FORESEEN: dict[Any, int] = {}
_MOST_FORESEEN = 10_000


class TooLargeError(ValueError):
    """What is being built goes far beyond the weights that it was described beside."""


@contextmanager
def as_large_as(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Build inside what these weights are of; it ends before more memory or time is taken than such a model needs.

    Raises:
        TooLargeError: when that is reached.
    """
    steps = _STEPS + _PER_TENSOR * len(weights)
    guard = _Guard(_BYTES + _TIMES * bytes_held(weights), steps)
    modules = 0

    def count(*_: Any) -> None:
        nonlocal modules
        modules += 1
        if modules > steps:
            raise TooLargeError(
                f"its settings ask for more than {steps:,} layers, its weights are {len(weights)} tensors."
            )

    hook = module_hooks.register_module_module_registration_hook(count)
    try:
        with guard:
            yield
    finally:
        hook.remove()


class _Guard(TorchDispatchMode):
    """Foresees the memory of every operation, and counts operations."""

    def __init__(self, most_bytes: int, most_steps: int) -> None:
        super().__init__()
        self.bytes_left, self.steps_left = most_bytes, most_steps
        self.most = most_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.steps_left -= 1
        if self.steps_left < 0:
            raise TooLargeError("its settings ask for far more layers than it has weights for.")
        # views and writes in place take no memory
        if not any(returned.alias_info is not None for returned in func._schema.returns):
            self.bytes_left -= self._foreseen(func, args, kwargs)
            if self.bytes_left < 0:
                raise TooLargeError(
                    f"its settings ask for more than {self.most / 2**20:,.0f} MiB, far more than its weights have."
                )
        return func(*args, **kwargs)

    def _foreseen(self, func: Any, args: Any, kwargs: Any) -> int:
        leaves, form = pytree.tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        key = (func, str(form), *((tuple(x.shape), x.dtype) if isinstance(x, Tensor) else repr(x) for x in leaves))
        if key not in _FORESEEN:
            if len(_FORESEEN) == _MOST_FORESEEN:
                _FORESEEN.clear()
            _FORESEEN[key] = _bytes_made(func, leaves, form, on_meta=not tensors or "device" in kwargs)
        return _FORESEEN[key]


def _bytes_made(func: Any, leaves: Sequence[Any], form: Any, on_meta: bool) -> int:
    """Memory of what an operation makes, from the shapes that go in."""
    try:
        shapes = [torch.empty_like(leaf, device="meta") if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        args, kwargs = pytree.tree_unflatten(shapes, form)
        made = func(*args, **{**kwargs, **({"device": "meta"} if on_meta else {})})
    except Exception:
        # what depends on values (e.g. where a mask is true) is no larger than what goes in, and errors are its own
        return 0
    tensors = [leaf for leaf in pytree.tree_leaves(made) if isinstance(leaf, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
