"""Which metric sees what: real clips with one thing broken, in a generator's place, against other real clips."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from mutoscope.evaluators.extractors import Extractor, View
from mutoscope.evaluators.sets import compares_pairs
from mutoscope.evaluators.smoke import drawn, smoke_digest
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.coverage import PrecisionRecall
from mutoscope.metrics.fidelity import PSNR, SSIM
from mutoscope.metrics.frame_foils import frame_foils
from mutoscope.metrics.inception import ClassifierFID
from mutoscope.metrics.kernel import ClassifierKID
from mutoscope.metrics.neighbours import NearestRealClip
from mutoscope.metrics.warping import WarpingError

#: the row of other real clips, which nothing was done to
FLOOR = "perfect"
#: sides of the frames that the small networks see, and how many frames those of clips look at
_SIDE, _FRAMES = 32, 8


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What metrics say of real clips and of what was made of them, over several draws of the clips.

    Args:
        metrics: their names.
        better: which way each is better: ``True`` higher, ``False`` lower, ``None`` near the floor.
        rows: :data:`FLOOR`, then the foils.
        values: ``[draws, metrics, rows]`` float64; NaN where a metric has none.
        clips: of either side in a draw.
    """

    metrics: Sequence[str]
    better: Sequence[bool | None]
    rows: Sequence[str]
    values: Tensor
    clips: int

    @property
    def means(self) -> Tensor:
        """``[metrics, rows]`` over draws."""
        return self.values.nanmean(dim=0)

    @property
    def effects(self) -> Tensor:
        """``[metrics, rows - 1]``: how much worse than the floor each foil is, in standard deviations of the floor.

        Where no way is better, any distance from the floor is worse. Foils are compared with the floor of their own
        draw; a metric that does not vary at all over draws has the deviation of rounding.
        """
        floor, foils = self.values[..., :1], self.values[..., 1:]
        away = (foils - floor).nanmean(dim=0)
        spread = floor[..., 0].std(dim=0)
        scale = self.values.abs().nan_to_num().amax(dim=(0, 2))
        ways = [away[i].abs() if b is None else -away[i] if b else away[i] for i, b in enumerate(self.better)]
        return torch.stack(ways) / torch.maximum(spread, 1e-6 * scale + 1e-12)[:, None]

    def markdown(self) -> str:
        """Means as a table, a metric per line."""
        head = ["", *self.rows]
        lines = ["| " + " | ".join(head) + " |", "|" + "|".join([":--", *["--:"] * len(self.rows)]) + "|"]
        for name, values in zip(self.metrics, self.means.tolist(), strict=True):
            lines.append("| " + " | ".join([f"`{name}`", *(_short(value) for value in values)]) + " |")
        return "\n".join(lines)


def sensitivity(
    clips: Tensor, metrics: Mapping[str, Metric], *, draws: int = 5, count: int = 12, seed: int = 0
) -> Sensitivity:
    """Measure foils of real clips beside other real clips.

    Args:
        clips: ``[n, t, 3, h, w]`` uint8, ``n`` at least ``2 * count``.
        metrics: that ask for nothing but frames, by name.
        draws: how often clips are divided anew; at least 2, for the deviation of the floor.
        count: clips of either side.
        seed: of the draws.

    Raises:
        ValueError: for too few clips or draws.
    """
    if len(clips) < 2 * count or draws < 2 or count < 2:
        raise ValueError(
            f"There are {len(clips)} clips for {draws} draws of twice {count}; expected at least {2 * count} clips, 2 "
            "draws and 2 clips a side."
        )
    found, rows = [], [FLOOR]
    for draw in range(draws):
        order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed + draw))
        held, real = clips[order[:count]], clips[order[count : 2 * count]]
        foils = list(frame_foils(held, seed + draw))
        rows = [FLOOR, *(foil.name for foil in foils)]
        made = [held, *(foil.clips for foil in foils)]
        table = torch.full((len(metrics), len(made)), torch.nan, dtype=torch.float64)
        for i, metric in enumerate(metrics.values()):
            for j, fake in enumerate(made):
                # what is broken is compared with what it was; what is not, with another true clip
                truth = held if compares_pairs(metric) and j else real
                with suppress(TooFewSamplesError):
                    table[i, j] = _value(metric, fake, truth)
        found.append(table)
    better = [metric.higher_is_better for metric in metrics.values()]
    return Sensitivity(tuple(metrics), better, tuple(rows), torch.stack(found), count)


def small_metrics() -> dict[str, Metric]:
    """Metrics of frames, clips and pairs through small networks with drawn weights, named so: seconds, not minutes."""
    frames, clips = _extractor(_SmallFrames(), "frame"), _extractor(_SmallClips(), "clip")
    return {
        "smoke/fid": ClassifierFID(frames),
        "smoke/kid": ClassifierKID(frames),
        "smoke/precision": PrecisionRecall(frames, "precision"),
        "smoke/recall": PrecisionRecall(frames, "recall"),
        "smoke/fvd": ClassifierFID(clips, ddof=0),
        "smoke/kvd": ClassifierKID(clips),
        "psnr": PSNR(),
        "ssim": SSIM(),
        "warping_error": WarpingError(),
        "nearest_real": NearestRealClip(),
    }


class _SmallFrames(nn.Module):
    """``[n, 3, 32, 32]`` -> features and logits ``[n, 24]``."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(24, 24, 3, 2, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.layers(x).mean(dim=(-2, -1))
        return seen, seen


class _SmallClips(nn.Module):
    """``[n, 3, t, 32, 32]`` -> ``[n, 24]``: it sees frames and how each differs from the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(6, 16, (3, 5, 5), (1, 2, 2), (1, 2, 2)),
            nn.ReLU(),
            nn.Conv3d(16, 24, 3, (2, 2, 2), 1),
            nn.ReLU(),
            nn.Conv3d(24, 24, 3, (2, 2, 2), 1),
            # a mean of what is linear would not see the order of frames
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.layers(torch.cat([x[:, :, 1:], 2 * x.diff(dim=2)], dim=1))
        return seen.mean(dim=(-3, -2, -1))


def _extractor(network: nn.Module, per: Literal["frame", "clip"]) -> Extractor:
    state = drawn(network)
    network.load_state_dict(state)
    view = View(f"mean, {_SIDE}x{_SIDE}", "x / 64 - 2", _FRAMES if per == "clip" else None)
    return Extractor(network, _shrunk, view, per, 24, 24, smoke_digest(state))


def _shrunk(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images.float(), _SIDE) / 64 - 2


def _value(metric: Metric, fake: Tensor, real: Tensor) -> float:
    metric.reset()
    metric.update(fake_frames=fake, real_frames=real)
    value = float(metric.compute())
    metric.reset()
    return value


def _short(value: float) -> str:
    return "–" if value != value else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
