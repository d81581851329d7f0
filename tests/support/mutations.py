"""Damage of files, drawn from a seed: what readers must answer with a sentence, or read as what it now is."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

#: what stands where something else is expected
ABSURD: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 0.5, -1e308, 1e308, 1e-320, 10**400, 10**18, float("nan"), float("inf")),
    *("", "x", "1", "../../x", "a\ud800b", "x\0y", "0*35", [], {}, [[1]], [None] * 3, {"x": {}}, ["a", 1]),
)
_WORDS = (b"1e999", b"nan", b"-", b"9" * 400, b"\xff", b"\x00", b"\n", b",", b"{", b"[", b'"', b"#", b":", b"<<: *a")


def damaged(data: bytes, trials: int, seed: int = 0) -> Iterator[bytes]:
    """Flipped bytes, parts cut off, left out, doubled or replaced by strange words."""
    rng = np.random.default_rng(seed)
    for trial in range(trials):
        changed = bytearray(data)
        for _ in range(1 + trial % 3):
            start, stop = sorted(int(at) for at in rng.integers(0, len(changed) + 1, 2))
            stop = min(stop, start + int(rng.integers(1, 40)))
            match trial % 6:
                case 0:
                    del changed[start:]
                case 1:
                    del changed[start:stop]
                case 2:
                    changed[start:start] = changed[start:stop]
                case 3:
                    changed[start:stop] = _WORDS[rng.integers(len(_WORDS))]
                case _:
                    for at in rng.integers(0, max(len(changed), 1), 3):
                        if changed:
                            changed[at] = rng.integers(256)
        yield bytes(changed)


def absurd(value: Any, trials: int, seed: int = 0) -> Iterator[Any]:
    """Plain data with one or two of their values replaced, removed or renamed."""
    rng = np.random.default_rng(seed)
    for trial in range(trials):
        changed = copy.deepcopy(value)
        for _ in range(1 + trial % 2):
            holder, key = changed, None
            while isinstance(holder, dict | list) and len(holder):
                keys = list(holder) if isinstance(holder, dict) else range(len(holder))
                key = keys[int(rng.integers(len(keys)))]
                if rng.uniform() < 0.35 or not isinstance(holder[key], dict | list) or not holder[key]:
                    break
                holder = holder[key]
            if key is None:
                continue
            match int(rng.integers(8)):
                case 0:
                    del holder[key]
                case 1 if isinstance(holder, dict):
                    holder[str(ABSURD[int(rng.integers(13, 20))])] = holder.pop(key)
                case _:
                    holder[key] = copy.deepcopy(ABSURD[int(rng.integers(len(ABSURD)))])
        yield changed


def refusal(error: type[Exception], read: Callable[[], Any]) -> tuple[Exception | None, Any]:
    """The error of this class that reading raises, or what is read; every other exception is the test's failure."""
    try:
        return None, read()
    except error as found:
        return found, None
