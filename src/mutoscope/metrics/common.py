"""What all metrics share: the error for too few samples, double precision, checks of feature tables."""

import inspect
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torchmetrics import Metric

Side = Literal["fake", "real"]


class TooFewSamplesError(ValueError):
    """A metric cannot be computed from what it has seen; its text is the reason to print in place of the number."""


class MetricWarning(UserWarning):
    """A number that is worth less than it looks; its text is the reason to print beside it."""


class AbsentMetric(Metric):
    """Stands where a metric would whose network is not on this machine: it has no value, and says why.

    Args:
        reason: a sentence.
        like: that metric's class.
    """

    full_state_update = False
    is_differentiable = False
    meaning = "not measured"

    def __init__(self, reason: str, like: type[Metric] | None = None) -> None:
        super().__init__()
        self.reason = reason
        self.like: type[Metric] | None = like

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """That of the metric it stands for."""
        return getattr(self.like, "higher_is_better", None)

    def update(self) -> None:
        """Look at nothing."""

    def compute(self) -> Tensor:
        """Raises ``TooFewSamplesError`` with the reason."""
        raise TooFewSamplesError(self.reason)


class Recognizer(Protocol):
    """What metrics ask of an action recogniser (an ``nn.Module`` trained on the same skeleton and split)."""

    @property
    def classes(self) -> int:
        """Number of classes ``K``."""

    @property
    def num_features(self) -> int:
        """Feature size ``d``."""

    def features(self, joints: Tensor) -> Tensor:
        """``joints: [b, t, v, c]`` in dataset units -> ``[b, d]``."""

    def __call__(self, joints: Tensor) -> Tensor:
        """``joints: [b, t, v, c]`` in dataset units -> logits ``[b, K]``."""

    def eval(self) -> object:
        """Switch to evaluation mode."""


def double(x: Tensor, device: torch.device | None = None) -> Tensor:
    """``x`` in float64 on ``device`` (default: where it lies; on the CPU if that is MPS, which has no float64)."""
    target = x.device if device is None else device
    if target.type == "mps":
        target = torch.device("cpu")
    return x.to(target).to(torch.float64)


def check_features(features: Tensor, size: int | None = None) -> None:
    """Raise ``ValueError`` unless ``features`` is a finite ``[n, d]`` table, with ``d = size`` where given."""
    if features.ndim != 2 or (size is not None and features.shape[1] != size):
        wanted = "[n, d]" if size is None else f"[n, {size}]"
        raise ValueError(f"Features have shape {list(features.shape)}, expected {wanted}.")
    if not torch.isfinite(features).all():
        raise ValueError("Features hold NaN or infinite values; look at the samples or the extractor before measuring.")


def check_finite(whose: str, **values: Tensor) -> None:
    """Raise ``ValueError`` where values hold NaN or infinities, which comparisons would turn into wrong counts."""
    for name, value in values.items():
        if not torch.isfinite(value).all():
            what = name.replace("_", " ")
            raise ValueError(f"{whose}: {what} hold NaN or infinite values; look at the samples before measuring.")


def check_side(of: str) -> None:
    """Raise ``ValueError`` unless ``of`` is ``fake`` or ``real``."""
    if of not in ("fake", "real"):
        raise ValueError(f"of is '{of}', expected fake or real.")


def feed(metric: Metric, available: Mapping[str, Any]) -> None:
    """Update a metric with what its ``update`` names, out of everything there is.

    Raises:
        TypeError: if it needs something that is not there.
        TooFewSamplesError: if it needs something that is there as ``None``: what is measured makes none of it.
    """
    wanted = inspect.signature(type(metric).update).parameters
    lacking = [n for n, p in wanted.items() if p.default is p.empty and n in available and available[n] is None]
    if lacking:
        raise TooFewSamplesError(f"it compares {lacking[0]}, and there are none.")
    metric.update(**{name: available[name] for name in wanted if name in available})


def check_frames(whose: str, *videos: Tensor) -> None:
    """Raise ``ValueError`` unless all are uint8 ``[b, t, 3, h, w]`` of one shape; ``whose`` names the metric."""
    for frames in videos:
        if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[2] != 3 or frames.shape != videos[0].shape:
            got = " and ".join(f"{list(v.shape)} {str(v.dtype).removeprefix('torch.')}" for v in videos)
            raise ValueError(f"{whose} got frames {got}, expected uint8 [b, t, 3, h, w].")


def pairs_of(whose: str, fake: Tensor, real: Tensor, *, skip_first: bool) -> tuple[Tensor, Tensor]:
    """Frames that are compared pair by pair, without the first, given one where that is asked for.

    Raises:
        ValueError: unless both are uint8 ``[b, t, 3, h, w]`` of one shape and a frame is left.
    """
    check_frames(whose, fake, real)
    first = int(skip_first)
    if fake.shape[1] <= first:
        raise ValueError(f"{whose} got videos of {fake.shape[1]} frames, expected more than {first}.")
    return fake[:, first:], real[:, first:]
