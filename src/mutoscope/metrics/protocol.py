"""How a number was measured: values carry their protocol, and unlike protocols are not compared."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.structures import DatasetInfo

#: fields that came later, and apply to some metrics only
_LATER = ("preset", "resize", "quantisation", "frames", "stride")


@dataclass(frozen=True)
class Protocol:
    """Everything that must agree before two values of a metric may be compared.

    Args:
        name: of the metric, e.g. ``"motion_fid"`` or ``"paper/kinetic_gan_mmd_a"``.
        n_real, n_fake: samples on either side (0 where a side is not looked at).
        ddof: of covariances; ``None`` where there are none.
        extractor: hash of the network behind the features, see :func:`state_hash`; ``None`` without one.
        dataset: fingerprint of the data.
        length: frames per clip.
        fps: frames per second.
        seed: of generation and resampling.
        version: of the metric's definition; raised when its values change.
        preset: whose settings the metric has, with what was changed of them.
        resize: rule and size by which the network sees frames.
        quantisation: of frames, and how the network's input is scaled from them.
        frames: of a clip that are looked at.
        stride: from one to the next.
    """

    name: str
    n_real: int
    n_fake: int
    ddof: int | None
    extractor: str | None
    dataset: str
    length: int
    fps: float
    seed: int
    version: int = 1
    preset: str | None = None
    resize: str | None = None
    quantisation: str | None = None
    frames: int | None = None
    stride: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain strings and numbers; what does not apply to a metric is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None or key not in _LATER}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Protocol":
        """The inverse of :meth:`to_dict`; raises ``ValueError`` naming missing and unknown fields."""
        names = {f.name for f in fields(cls)}
        if names - set(_LATER) - set(values) or set(values) - names:
            raise ValueError(
                f"A protocol has the fields {', '.join(sorted(names))}; "
                f"missing: {', '.join(sorted(names - set(_LATER) - set(values))) or 'none'}, "
                f"unknown: {', '.join(sorted(set(values) - names)) or 'none'}."
            )
        return cls(**values)

    @property
    def hash(self) -> str:
        """12 hex digits, the same on every machine and in every session."""
        # 30 and 30.0 frames per second are one protocol
        values = self.to_dict() | {"fps": float(self.fps)}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class MetricValue:
    """A number, how it was measured, and its interval where one was taken."""

    value: float
    protocol: Protocol
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, the protocol's hash included."""
        return {
            "value": self.value,
            "interval": list(self.interval) if self.interval else None,
            "protocol": self.protocol.to_dict(),
            "protocol_hash": self.protocol.hash,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MetricValue":
        """The inverse of :meth:`to_dict`; raises ``ValueError`` where protocol and hash disagree."""
        protocol = Protocol.from_dict(values["protocol"])
        if values["protocol_hash"] != protocol.hash:
            raise ValueError(
                f"The stored hash {values['protocol_hash']} does not belong to the protocol beside it "
                f"({protocol.hash}); the file was edited, measure again."
            )
        interval = values["interval"]
        return cls(values["value"], protocol, (interval[0], interval[1]) if interval else None)


def compare(a: MetricValue, b: MetricValue) -> float:
    """``a.value - b.value``; raises ``ValueError`` naming every field in which the protocols differ."""
    if differing := differences(a.protocol, b.protocol):
        raise ValueError(
            f"These values of '{a.protocol.name}' and '{b.protocol.name}' cannot be compared: "
            f"their protocols differ in {', '.join(differing)}. Measure both in the same way."
        )
    return a.value - b.value


def differences(a: Protocol, b: Protocol) -> list[str]:
    """Every field in which two protocols differ, with both values."""
    ours, theirs = asdict(a), asdict(b)
    return [f"{name} ({ours[name]} and {theirs[name]})" for name in ours if ours[name] != theirs[name]]


def protocol_of(
    name: str, metric: Metric, *, dataset: str, info: DatasetInfo, n_fake: int, n_real: int, seed: int
) -> Protocol:
    """The protocol of a metric's number in an evaluation.

    Args:
        name: of the metric there.
        metric: it looks through the network, if any, that it has as ``recognizer``, ``track_classifier``,
            ``classifier`` or ``network``.
        dataset: fingerprint of the data.
        info: description of the data.
        n_fake, n_real: clips in the row, and those it is held against. A metric that looks at one side alone says which
            as ``of``; one that has a set of its own as ``reference`` counts that.
        seed: of generation.
    """
    seen_through = (getattr(metric, key, None) for key in ("recognizer", "track_classifier", "classifier", "network"))
    own, of = getattr(metric, "reference", None), getattr(metric, "of", None)
    if of is not None:
        n_fake, n_real = (0, n_real) if of == "real" else (n_fake, 0)
    if isinstance(own, Tensor):
        n_real = len(own)
    network = next((found for found in seen_through if isinstance(found, nn.Module)), None)
    view = getattr(network, "view", None)
    digest = getattr(network, "digest", None)
    return Protocol(
        name=name,
        n_real=n_real,
        n_fake=n_fake,
        ddof=getattr(metric, "ddof", None),
        extractor=digest if digest is not None or network is None else state_hash(network.state_dict()),
        dataset=dataset,
        length=info.length,
        fps=info.fps,
        seed=seed,
        version=getattr(metric, "version", 1),
        preset=getattr(metric, "preset", None),
        resize=getattr(view, "resize", None),
        quantisation=None if view is None else f"uint8, {view.scale}",
        frames=None if view is None else view.frames or info.length,
        stride=getattr(view, "stride", None),
    )


def state_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (16 hex digits) over names, types, shapes and bytes of a state dict, whatever the order and device."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def bootstrap_interval(
    samples: Tensor,
    statistic: Callable[[Tensor], Tensor],
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of independent samples.

    Not for distances between distributions: repeated samples bias those (use ``mmd2_interval``).

    Args:
        samples: ``[n, ...]``; rows are resampled with replacement.
        statistic: maps ``[n, ...]`` to a scalar tensor.
        level: share of the draws inside the interval.
        draws: resamples.
        seed: of the resampling.

    Raises:
        TooFewSamplesError: below 2 samples.
        ValueError: if ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a number between 0 and 1.")
    if len(samples) < 2:
        raise TooFewSamplesError(f"A bootstrap interval needs at least 2 samples, got {len(samples)}.")
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(len(samples), (draws, len(samples)), generator=generator).to(samples.device)
    values = torch.stack([statistic(samples[pick]).to(torch.float64) for pick in picks])
    low, high = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2]).to(values)).tolist()
    return low, high


def ratio_interval(parts: Tensor) -> tuple[float, float] | None:
    """95 % interval of a ratio of sums over independent cases: Wilson's for shares, a bootstrap over cases for others.

    Args:
        parts: ``[m, 2]`` numerators and denominators; of shares whole numbers, 0 or 1.

    Returns:
        Its ends; ``None`` with fewer than two cases that count.
    """
    counted = parts[parts[:, 1] > 0]
    if len(counted) < 2:
        return None
    if not counted.is_floating_point():
        # slow to import, and few who import metrics ask for intervals of shares
        from scipy.stats import binomtest

        low, high = binomtest(int(counted[:, 0].sum()), len(counted)).proportion_ci(0.95, method="wilson")
        return float(low), float(high)
    return bootstrap_interval(counted.double(), lambda drawn: drawn[:, 0].sum() / drawn[:, 1].sum())
