"""The papers' own MMD (Kinetic-GAN section 4; SA-GCN section 5), as released: for their tables, not for new work.

It is not :func:`mutoscope.metrics.mmd.mmd2`. The root is taken, the largest value over 14 fixed bandwidths is kept,
pairs with equal index are left out of the cross term too, and negative estimates are dropped. So the value keeps a
positive floor that shrinks with the number of clips per class: compare values at equal counts only.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mutoscope.metrics.clip_sets import ClipSets
from mutoscope.metrics.common import TooFewSamplesError, double
from mutoscope.metrics.mmd import squared_distances
from mutoscope.metrics.motion import SEES_POSES
from mutoscope.structures import DatasetInfo, Normaliser, scalar_range

Mode = Literal["a", "s"]
Level = Literal["set", "as_coded"]
Negatives = Literal["nan", "clip"]

BANDWIDTHS = tuple(10.0**power for power in range(-4, 10))

_CHUNK = 2**21


class MMDSetting(NamedTuple):
    """Which of the released MMDs: see :func:`paper_mmd`."""

    mode: Mode
    level: Level


#: the released protocols by name
PRESETS: Mapping[str, MMDSetting] = MappingProxyType(
    {
        "paper/kinetic_gan_mmd_a": MMDSetting("a", "set"),
        "paper/kinetic_gan_mmd_s": MMDSetting("s", "set"),
        "paper/kinetic_gan_mmd_a_as_coded": MMDSetting("a", "as_coded"),
        "paper/kinetic_gan_mmd_s_as_coded": MMDSetting("s", "as_coded"),
        "paper/sa_gcn_mmd": MMDSetting("s", "set"),
    }
)


def paper_mmd(
    real: Tensor, fake: Tensor, mode: Mode = "a", level: Level = "set", negatives: Negatives = "nan"
) -> Tensor:
    """The released MMD of clips grouped by class: per class the largest over bandwidths, then the mean over classes.

    Args:
        real: ``[k, m, t, v, c]``, ``m`` clips of each of ``k`` classes in network units (-1 to 1).
        fake: same shape; clip ``i`` meets clip ``j != i`` only, so the value depends slightly on the order.
        mode: ``a`` compares poses frame by frame and averages, ``s`` whole sequences.
        level: ``set`` compares sets of clips (the papers' wording); ``as_coded`` the joints of the first clip of each
            class, as Kinetic-GAN's released program does.
        negatives: a negative squared estimate voids its bandwidth (``nan``, as released) or counts as 0 (``clip``).

    Returns:
        Scalar float64.

    Raises:
        ValueError: for unequal shapes, NaN, or an unknown mode, level or rule.
        TooFewSamplesError: if fewer than 2 clips per class (joints, with ``as_coded``) can be compared.
    """
    return best_bandwidth(paper_mmd_table(real, fake, mode, level, negatives)).mean()


def best_bandwidth(table: Tensor) -> Tensor:
    """``[k, 14]`` -> ``[k]`` the largest value over bandwidths, at least 0; NaN never wins."""
    return table.nan_to_num(nan=0.0).amax(dim=1).clamp(min=0)


def paper_mmd_table(
    real: Tensor, fake: Tensor, mode: Mode = "a", level: Level = "set", negatives: Negatives = "nan"
) -> Tensor:
    """``[k, 14]`` the estimate per class and bandwidth 1e-4 ... 1e9; arguments and errors as in :func:`paper_mmd`."""
    for name, value, known in (
        ("mode", mode, ("a", "s")),
        ("level", level, ("set", "as_coded")),
        ("negatives", negatives, ("nan", "clip")),
    ):
        if value not in known:
            raise ValueError(f"{name} is '{value}', expected {' or '.join(known)}.")
    if real.ndim != 5 or real.shape != fake.shape:
        raise ValueError(
            f"Real clips are {list(real.shape)} and fake ones {list(fake.shape)}; expected both [k, m, t, v, c]."
        )
    x, y = (_sets(clips, mode, level) for clips in (real, fake))
    if x.shape[2] < 2:
        raise TooFewSamplesError(f"The paper's MMD needs at least 2 samples per set, got {x.shape[2]}.")
    if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise ValueError("Clips hold NaN or infinite values; the paper's MMD would silently ignore them.")
    squared = _squared(x.flatten(0, 1), y.flatten(0, 1)).unflatten(0, x.shape[:2])
    squared = squared.clamp(min=0) if negatives == "clip" else squared.where(squared >= 0, torch.nan)
    return squared.sqrt().mean(dim=1)


def select_per_class(label: Tensor, num_classes: int, per_class: int = 100) -> Tensor:
    """Which items the released evaluation compares: the first of each class, in file order.

    As released, item 0 of the file is never considered for any class but class 0.

    Args:
        label: ``[n]`` class of every item.
        num_classes: classes ``0 .. num_classes - 1`` are evaluated (10 for Human3.6M, otherwise the first 60).
        per_class: items per class.

    Returns:
        ``[num_classes, per_class]`` indices, ascending.

    Raises:
        TooFewSamplesError: if a class has fewer items; the first such class is named.
    """
    hit = label[None, :] == torch.arange(num_classes, device=label.device)[:, None]
    hit[1:, :1] = False
    count = hit.sum(dim=1)
    if (short := count < per_class).any():
        first = int(short.nonzero()[0])
        raise TooFewSamplesError(
            f"The paper's MMD needs {per_class} items of every class, "
            f"but class {first} has {int(count[first])} that count."
        )
    return (hit & (hit.cumsum(dim=1) <= per_class)).nonzero()[:, 1].view(num_classes, per_class)


def feed(raw: Tensor, label: Tensor, classes: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """Read a published Kinetic-GAN array as its feeder does: first person, scaled to -1 to 1 by the whole array.

    Args:
        raw: ``[n, c, t, v]``, or ``[n, c, t, v, m]`` with a person axis; minimum and maximum are over all of it,
            other persons and padding included.
        label: ``[n]``.
        classes: keep these classes only and relabel them by position in the list.

    Returns:
        Clips ``[n', t, v, c]`` in network units, and labels ``[n']``.
    """
    if raw.ndim not in (4, 5) or label.shape != raw.shape[:1]:
        raise ValueError(
            f"Got an array {list(raw.shape)} and labels {list(label.shape)}, "
            "expected [n, c, t, v] or [n, c, t, v, m] and [n]."
        )
    normaliser = Normaliser.from_range(*scalar_range([raw]), channels=raw.shape[1])
    clips = raw[..., 0] if raw.ndim == 5 else raw
    if classes is not None:
        wanted = torch.tensor(classes, device=label.device)
        place = label[:, None] == wanted
        keep = place.any(dim=1)
        clips, label = clips[keep], place[keep].to(torch.uint8).argmax(dim=1)
    return normaliser.normalise(clips.permute(0, 2, 3, 1)), label


def kinetic_gan_mmd(
    real: Tensor,
    real_label: Tensor,
    fake: Tensor,
    fake_label: Tensor,
    *,
    num_classes: int,
    mode: Mode = "a",
    level: Level = "set",
    length: int = 64,
    per_class: int = 100,
) -> Tensor:
    """The released evaluation from clips to number: first frames, selection by class, :func:`paper_mmd`.

    Args:
        real, fake: ``[n, t, v, c]``, ``[m, t', v, c]`` in network units; each may be longer than ``length``.
        real_label, fake_label: ``[n]``, ``[m]``.
        num_classes: evaluated classes (10 for Human3.6M, otherwise the first 60).
        mode, level: see :func:`paper_mmd`.
        length: frames compared; shorter clips are compared whole, but both sides must agree.
        per_class: clips per class.
    """
    real = real[:, :length][select_per_class(real_label, num_classes, per_class)]
    fake = fake[:, :length][select_per_class(fake_label, num_classes, per_class)]
    return paper_mmd(real, fake, mode, level)


def sa_gcn_mmd(
    real: Tensor,
    real_label: Tensor,
    fake: Tensor,
    fake_label: Tensor,
    *,
    num_classes: int,
    mode: Mode = "s",
    negatives: Negatives = "nan",
    most: int = 2000,
) -> Tensor:
    """SA-GCN's released MMD, ``mode="s"``, and the one of its paper's first column, ``mode="a"``.

    Clip ``i`` of a class on one side meets all of the other side but its clip ``i``.

    Args:
        real, fake: ``[n, t, v, c]``, ``[m, t, v, c]`` in network units.
        real_label, fake_label: ``[n]``, ``[m]``.
        num_classes: classes ``0 .. num_classes - 1`` are compared.
        mode, negatives: see :func:`paper_mmd`.
        most: clips of a class that are compared at most; the first ones, equally many of both sides.

    Returns:
        Scalar float64, the mean over classes.

    Raises:
        ValueError: as :func:`paper_mmd`.
        TooFewSamplesError: if a side has fewer than 2 clips of a class; the first such class is named.
    """
    best = []
    for label in range(num_classes):
        of_real, of_fake = ((labels == label).nonzero()[:most, 0] for labels in (real_label, fake_label))
        count = min(len(of_real), len(of_fake))
        if count < 2:
            raise TooFewSamplesError(f"The paper's MMD needs 2 clips of every class, but class {label} has {count}.")
        pair = (real[of_real[:count]][None], fake[of_fake[:count]][None])
        best.append(best_bandwidth(paper_mmd_table(*pair, mode, "set", negatives)))
    return torch.cat(best).mean()


class KineticGANMMD(ClipSets):
    """Kinetic-GAN's released MMD as a metric on joints in metres; both sides are scaled by the training range.

    Args:
        normaliser: of the dataset, metres to network units.
        num_classes: evaluated classes (10 for Human3.6M, otherwise the first 60).
        mode, level: see :func:`paper_mmd`; :data:`PRESETS` names the combinations.
        per_class: clips per class; with fewer of a class, ``compute`` raises ``TooFewSamplesError``.
    """

    meaning = "maximum mean discrepancy as Kinetic-GAN released it (best of 14 bandwidths; biased); no unit"
    caveat = SEES_POSES

    def __init__(
        self,
        normaliser: Normaliser,
        num_classes: int,
        mode: Mode = "a",
        level: Level = "set",
        per_class: int = 100,
    ) -> None:
        super().__init__(normaliser)
        self.num_classes, self.per_class = num_classes, per_class
        self.mode, self.level = mode, level

    def compute(self) -> Tensor:
        """Scalar float64; errors as in :func:`select_per_class` and :func:`paper_mmd`."""
        clips = {}
        for side in ("real", "fake"):
            every, label = self._side(side)
            clips[side] = every[select_per_class(label, self.num_classes, self.per_class)]
        return paper_mmd(clips["real"], clips["fake"], self.mode, self.level)


class SAGCNMMD(ClipSets):
    """SA-GCN's released MMD as a metric on joints in dataset units.

    Args:
        info: its normaliser and its classes are taken.
        mode, negatives, most: see :func:`sa_gcn_mmd`.
    """

    meaning = "maximum mean discrepancy as SA-GCN released it (best of 14 bandwidths, class by class); no unit"
    caveat = (
        "Compare values at equal numbers of clips per class only: even real clips stay above 0, the more so the fewer "
        "they are. It barely sees motion: frozen poses of the right kind score well. Held against training clips, it "
        "rewards repeating them."
    )

    def __init__(self, info: DatasetInfo, mode: Mode = "s", negatives: Negatives = "nan", most: int = 2000) -> None:
        super().__init__(info.need_normaliser())
        self.num_classes = info.num_classes
        self.mode, self.negatives, self.most = mode, negatives, most

    def compute(self) -> Tensor:
        """Scalar float64; errors as in :func:`sa_gcn_mmd`."""
        return sa_gcn_mmd(
            *self._side("real"),
            *self._side("fake"),
            num_classes=self.num_classes,
            mode=self.mode,
            negatives=self.negatives,
            most=self.most,
        )


def _sets(clips: Tensor, mode: Mode, level: Level) -> Tensor:
    """``[k, m, t, v, c]`` -> ``[k, s, samples, d]``: ``s`` sets per class whose estimates are averaged."""
    k, m, t, v, c = clips.shape
    if level == "as_coded":
        first = clips[:, 0]
        return first if mode == "a" else first.transpose(1, 2).reshape(k, 1, v, t * c)
    return clips.transpose(1, 2).reshape(k, t, m, v * c) if mode == "a" else clips.reshape(k, 1, m, t * v * c)


def _squared(x: Tensor, y: Tensor) -> Tensor:
    """``[s, m, d]`` twice -> ``[s, 14]`` squared estimates, for all sets at once as far as memory allows."""
    m = x.shape[1]
    step = max(1, _CHUNK // (m * max(m, x.shape[2])))
    # the diagonal drops out of all three sums
    upper = torch.triu_indices(m, m, offset=1)
    parts = []
    for start in range(0, len(x), step):
        a, b = double(x[start : start + step]), double(y[start : start + step])
        centre = a.mean(dim=1, keepdim=True)
        a, b = a - centre, b - centre
        cross = squared_distances(a, b)
        within = torch.stack([squared_distances(s, s)[:, upper[0], upper[1]] for s in (a, b)])
        across = torch.stack([cross[:, upper[0], upper[1]], cross[:, upper[1], upper[0]]])
        # within is symmetric and stands for both triangles, across holds either
        sums = [(2 * (-within / h).exp_() - 2 * (-across / h).exp_()).sum(dim=(0, 2)) for h in BANDWIDTHS]
        parts.append(torch.stack(sums, dim=1) / (m * (m - 1)))
    return torch.cat(parts)
