"""How the numbers of a dataset are scaled for networks, and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mutoscope.structures.plain import entry, listed, numbers

#: one number per coordinate ``[c]``, or per joint and coordinate ``[v][c]``
Numbers = tuple[float, ...] | tuple[tuple[float, ...], ...]

#: a coordinate that varies less than this share of the most varied one does not vary
_CONSTANT = 1e-5
#: bounds of float32, with room for arithmetic
_LEAST, _MOST = 1e-30, 1e30
#: rows of numbers that come from a file
_MAX_ROWS = 1000


@dataclass(frozen=True)
class Normaliser:
    """Affine map between dataset units and network units.

    ``normalise(x) = (x - offset) / scale``; the statistics come from the training split only and travel in the
    checkpoint, so that samples can be mapped back to metres anywhere. A negative scale turns an axis round, e.g. where
    networks see the vertical axis of images, which points down.

    Args:
        offset, scale: one number per coordinate ``[c]``, the same for all joints, or per joint and coordinate
            ``[v][c]``.

    Raises:
        ValueError: if the two differ in shape, rows differ in length, or a scale is 0 or not finite.
    """

    offset: Numbers
    scale: Numbers

    def __post_init__(self) -> None:
        if (mine := _shape(self.offset)) != (other := _shape(self.scale)):
            raise ValueError(f"Normaliser got {_count(mine)} offsets but {_count(other)} scales.")
        # 0 and infinity also as the float32 they are used as
        if not all(math.isfinite(s) and _LEAST < abs(s) < _MOST for s in _flat(self.scale)):
            raise ValueError(f"Normaliser scales must be finite and not 0, got {self.scale}.")
        if not all(math.isfinite(o) and abs(o) < _MOST for o in _flat(self.offset)):
            raise ValueError(f"Normaliser offsets must be finite, got {self.offset}.")

    @classmethod
    def from_range(cls, minimum: float, maximum: float, channels: int) -> "Normaliser":
        """Map ``[minimum, maximum]`` to ``[-1, 1]``, the same for all coordinates (Kinetic-GAN's feeder)."""
        if not maximum > minimum:
            raise ValueError(f"A range needs maximum > minimum, got [{minimum}, {maximum}].")
        return cls(((maximum + minimum) / 2,) * channels, ((maximum - minimum) / 2,) * channels)

    @classmethod
    def from_moments(cls, mean: Tensor, sigma: Tensor) -> "Normaliser":
        """z-scores per joint and coordinate (SA-GCN's preparation).

        A coordinate that does not vary in training (a root that is held at the origin) has scale 1: divided by next to
        nothing, the smallest error of a network or a float would become a leap.

        Args:
            mean, sigma: ``[v, c]``, of the training split.
        """
        scale = sigma.double().clone()
        scale[scale <= _CONSTANT * scale.max()] = 1.0
        return cls(_nested(mean.double()), _nested(scale))

    @property
    def channels(self) -> int:
        """Number of coordinates ``c``."""
        return _shape(self.scale)[-1]

    @property
    def joints(self) -> int | None:
        """Number of joints that have numbers of their own; ``None`` where all joints share them."""
        return _shape(self.scale)[0] if len(_shape(self.scale)) == 2 else None

    def normalise(self, x: Tensor) -> Tensor:
        """``x: [..., c]`` (``[..., v, c]`` where joints have their own numbers), dataset units -> network units."""
        offset, scale = self._tensors(x)
        return (x - offset) / scale

    def denormalise(self, x: Tensor) -> Tensor:
        """``x: [..., c]`` (``[..., v, c]`` where joints have their own numbers), network units -> dataset units."""
        offset, scale = self._tensors(x)
        return x * scale + offset

    def then_range(self, minimum: float, maximum: float) -> "Normaliser":
        """This map followed by the one that takes ``[minimum, maximum]`` of its results to ``[-1, 1]``."""
        after = Normaliser.from_range(minimum, maximum, 1)
        offset, scale = self._doubles()
        return Normaliser(_nested(offset + scale * _flat(after.offset)[0]), _nested(scale * _flat(after.scale)[0]))

    def mirrored(self, coordinate: int) -> "Normaliser":
        """The same with network units of one coordinate turned round."""
        _, scale = self._doubles()
        scale[..., coordinate] *= -1
        return Normaliser(self.offset, _nested(scale))

    def pooled(self) -> "Normaliser":
        """One offset and scale per coordinate, for what compares joints with each other.

        Of z-scores it makes mean and standard deviation over all joints together; maps per coordinate stay.
        """
        if self.joints is None:
            return self
        offset, scale = self._doubles()
        mean = offset.mean(dim=0)
        spread = (scale.square() + (offset - mean).square()).mean(dim=0).sqrt()
        return Normaliser(_nested(mean), _nested(spread))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers (what checkpoints may hold)."""
        return {"offset": _lists(self.offset), "scale": _lists(self.scale)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Normaliser":
        """A map from plain data, which may come from a stranger's file; raises ``ValueError`` for anything else."""
        return cls(*(_read(entry(values, key, "normaliser"), f"normaliser.{key}") for key in ("offset", "scale")))

    def _doubles(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.offset, dtype=torch.float64), torch.tensor(self.scale, dtype=torch.float64)

    def _tensors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.new_tensor(self.offset), x.new_tensor(self.scale)


def scalar_range(arrays: Sequence[Tensor]) -> tuple[float, float]:
    """Minimum and maximum over all values of several tensors."""
    if not arrays:
        raise ValueError("Cannot take the range of no data at all.")
    low = torch.stack([a.min() for a in arrays]).min()
    high = torch.stack([a.max() for a in arrays]).max()
    return float(low), float(high)


def _shape(numbers: Numbers) -> tuple[int, ...]:
    rows = [len(row) if isinstance(row, tuple) else None for row in numbers]
    if rows and len(set(rows)) > 1:
        raise ValueError("Normaliser got joints with different numbers of coordinates; all must have the same.")
    return (len(rows),) if not rows or rows[0] is None else (len(rows), rows[0])


def _count(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _flat(numbers: Numbers) -> list[float]:
    return [value for row in numbers for value in (row if isinstance(row, tuple) else (row,))]


def _nested(values: Tensor) -> Numbers:
    return _tuples(values.tolist())


def _tuples(values: Sequence[Any]) -> Numbers:
    return tuple(tuple(map(float, row)) if isinstance(row, list | tuple) else float(row) for row in values)  # type: ignore[return-value]


def _read(values: object, what: str) -> Numbers:
    rows = listed(values, what)
    if len(rows) > _MAX_ROWS:
        raise ValueError(f"{what} has {len(rows):,} rows, expected at most {_MAX_ROWS:,}.")
    if any(isinstance(row, list | tuple) for row in rows):
        return tuple(numbers(row, what, len(listed(rows[0], what))) for row in rows)
    return numbers(rows, what, len(rows))


def _lists(numbers: Numbers) -> list[Any]:
    return [list(row) if isinstance(row, tuple) else row for row in numbers]
