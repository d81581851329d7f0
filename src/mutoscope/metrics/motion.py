"""Metrics of skeleton motion. All take joints in metres, with one signature, and reduce over processes by themselves.

``update(joints, label, mask=None, *, real)`` takes ``joints: [b, t, v, c]``, ``label: [b]`` and ``mask: [b, t]``, true
on frames that count, the first of every clip among them; ``compute()`` gives a scalar. Metrics of one side look at
``of="fake"`` clips, or with ``of="real"`` at real ones: the value that perfect generation would reach.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mutoscope.metrics.common import (
    Recognizer,
    Side,
    TooFewSamplesError,
    check_features,
    check_finite,
    check_side,
    double,
)
from mutoscope.metrics.frechet import FeatureMoments
from mutoscope.metrics.mmd import MULTIPLES, FeatureSets, squared_distances
from mutoscope.metrics.nearest import NearestClip
from mutoscope.structures import RootRule, Skeleton

_CHUNK = 2**22
#: bones shorter than this (metres) have no direction to speak of
_SHORTEST_BONE = 1e-6


#: of metrics that know a motion by its poses first
SEES_POSES = (
    "It sees poses before movement: clips that stand still in the right poses may score like clips that move, as the "
    "frozen rows show. movement and standard/movement_fid tell them apart."
)


class MotionMetric(Metric):
    """Base of motion metrics: checks what comes in, then hands it to ``_take``."""

    full_state_update = False
    is_differentiable = False

    #: what the number is, and its unit, in one line for reports
    meaning: ClassVar[str]
    #: what to bear in mind with its numbers, in sentences; printed with them
    caveat: str = ""
    #: whether it means something in three dimensions only
    spatial: ClassVar[bool] = False

    def update(self, joints: Tensor, label: Tensor, mask: Tensor | None = None, *, real: bool) -> None:
        """Add clips of one side.

        Args:
            joints: ``[b, t, v, c]`` in metres; frames outside the mask are ignored.
            label: ``[b]`` int64 class the clips show or were asked to show.
            mask: ``[b, t]`` bool, or ``None`` when every frame counts.
            real: whether the clips are real or generated.

        Raises:
            ValueError: for other shapes, a clip without a first frame, or NaN.
        """
        if joints.ndim != 4 or label.shape != joints.shape[:1]:
            raise ValueError(
                f"{type(self).__name__} got joints {list(joints.shape)} and labels {list(label.shape)}, "
                "expected [b, t, v, c] and [b]."
            )
        if mask is None:
            mask = torch.ones(joints.shape[:2], dtype=torch.bool, device=joints.device)
        elif mask.shape != joints.shape[:2] or mask.dtype != torch.bool:
            raise ValueError(
                f"{type(self).__name__} got a {mask.dtype} mask {list(mask.shape)}, "
                f"expected bool {list(joints.shape[:2])}."
            )
        if not mask[:, 0].all():
            raise ValueError(f"{type(self).__name__} got a clip whose first frame is masked out.")
        joints = hold_frames(joints, mask)
        if not torch.isfinite(joints).all():
            raise ValueError(f"{type(self).__name__} got {'real' if real else 'fake'} joints with NaN or infinities.")
        self._take(joints, label, mask, real)

    @abstractmethod
    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        """Accumulate checked clips; masked frames already repeat the last frame that counts."""


def hold_frames(joints: Tensor, mask: Tensor) -> Tensor:
    """``joints: [b, t, v, c]`` with every frame outside ``mask: [b, t]`` replaced by the last one inside."""
    frame = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * frame).cummax(dim=1).values
    return joints.gather(1, last[:, :, None, None].expand_as(joints))


class _Featured(MotionMetric):
    """A metric that looks at clips through a recogniser, in evaluation mode and full precision."""

    recognizer: Recognizer

    @property
    def _caveat(self) -> str:
        """That of distances between features, unless the recogniser sees velocities alone."""
        return "" if getattr(self.recognizer, "inputs", None) == "velocities" else SEES_POSES

    def _embed(self, joints: Tensor) -> Tensor:
        self.recognizer.eval()
        with torch.autocast(joints.device.type, enabled=False):
            features = self.recognizer.features(joints.float())
        check_features(features)
        return features


class MotionFID(_Featured, FeatureMoments):
    """Fréchet distance between recogniser features of real and generated clips (as in Guo et al. 2020, Action2Motion).

    Args:
        recognizer: trained on the same skeleton and split; its hash belongs to the protocol.
        ddof: 1 divides covariances by ``n - 1``, 0 by ``n``.
    """

    meaning = "Fréchet distance of recogniser features, real against generated; squared feature units"

    def __init__(self, recognizer: Recognizer, ddof: int = 1) -> None:
        super().__init__(recognizer.num_features, ddof)
        self.recognizer = recognizer
        self.caveat = self._caveat

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        self._add(self._embed(joints), real)


class MotionMMD(_Featured, FeatureSets):
    """Unbiased MMD² between recogniser features of real and generated clips; sound with few samples.

    Args:
        recognizer: trained on the same skeleton and split.
        multiples: kernel widths as multiples of the pooled median squared distance.
    """

    meaning = "squared maximum mean discrepancy of recogniser features, unbiased (0 when alike); no unit"

    def __init__(self, recognizer: Recognizer, multiples: tuple[float, ...] = MULTIPLES) -> None:
        super().__init__(multiples)
        self.recognizer = recognizer
        self.caveat = self._caveat

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        self._add(self._embed(joints), real)


class RecognitionAccuracy(_Featured):
    """Share of clips that the recogniser takes for the class they were asked to show.

    Args:
        recognizer: trained on the same skeleton and split.
        of: which side to look at; real clips give the ceiling.
    """

    meaning = "clips recognised as the class asked for; fraction from 0 to 1"
    higher_is_better = True
    correct: Tensor
    seen: Tensor

    def __init__(self, recognizer: Recognizer, of: Side = "fake") -> None:
        super().__init__()
        check_side(of)
        self.recognizer, self.of = recognizer, of
        self.add_state("correct", torch.zeros(recognizer.classes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros(recognizer.classes, dtype=torch.long), dist_reduce_fx="sum")

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        if real != (self.of == "real"):
            return
        classes = self.recognizer.classes
        if label.numel() and not 0 <= int(label.min()) <= int(label.max()) < classes:
            raise ValueError(f"Labels run from {int(label.min())} to {int(label.max())}, expected 0..{classes - 1}.")
        self.recognizer.eval()
        with torch.autocast(joints.device.type, enabled=False):
            logits = self.recognizer(joints.float())
        check_finite(type(self).__name__, logits=logits)
        hit = logits.argmax(dim=1) == label
        self.correct = self.correct + torch.bincount(label[hit], minlength=classes).to(self.correct.device)
        self.seen = self.seen + torch.bincount(label, minlength=classes).to(self.seen.device)

    def compute(self) -> Tensor:
        """Accuracy over all clips; raises ``TooFewSamplesError`` before the first one."""
        _need(self, self.seen.sum(), self.of)
        return self.correct.sum() / self.seen.sum()

    def per_class(self) -> Tensor:
        """``[K]`` accuracy of every class over all processes, NaN for classes not seen."""
        with self.sync_context(should_sync=self._to_sync):
            return self.correct / self.seen


class _Average(MotionMetric):
    """A sum and a weight, of one side; the value is their ratio."""

    total: Tensor
    weight: Tensor

    def __init__(self, of: Side) -> None:
        super().__init__()
        check_side(of)
        self.of = of
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        if real != (self.of == "real"):
            return
        value, weight = self._measure(joints, mask)
        value, weight = double(value, self.total.device), double(weight, self.total.device)
        self.total = self.total + (value * weight).sum()
        self.weight = self.weight + weight.sum()

    @abstractmethod
    def _measure(self, joints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Values and their weights, of one shape."""

    def compute(self) -> Tensor:
        """The weighted mean; raises ``TooFewSamplesError`` where no clip had anything to measure."""
        _need(self, self.weight, self.of)
        return self.total / self.weight


class BoneDrift(_Average):
    """How much bones change length within a clip: standard deviation over time over mean length, averaged.

    Rigid bones give 0 up to the noise of the recording. Bones without length (below a micrometre) and clips of a
    single frame are left out.

    Args:
        skeleton: names the bones.
        of: which side to look at.
    """

    spatial = True
    meaning = "deviation of bone lengths over time, relative to their mean (low for still bodies too); fraction"
    higher_is_better = False

    def __init__(self, skeleton: Skeleton, of: Side = "fake") -> None:
        super().__init__(of)
        self.skeleton = skeleton

    def _measure(self, joints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        _check_spatial(self, joints, self.skeleton, "the length of a projected bone changes by itself")
        parent, child = torch.tensor(self.skeleton.bones, device=joints.device).unbind(dim=1)
        length = (joints[:, :, child] - joints[:, :, parent]).norm(dim=-1)
        inside = mask[:, :, None].to(length)
        frames = inside.sum(dim=1)
        mean = (length * inside).sum(dim=1) / frames
        variance = ((length - mean[:, None]).square() * inside).sum(dim=1) / frames
        counted = (mean > _SHORTEST_BONE) & (frames > 1)
        return variance.sqrt() / mean.clamp(min=_SHORTEST_BONE), counted


class FootSkate(_Average):
    """Mean horizontal speed of planted feet, weighted by how close to the floor they are.

    The weight falls from 1 on the floor to 0 at ``height`` above it as ``2 - 2^(h / height)`` (Zhang et al. 2018,
    Mode-Adaptive Neural Networks, section 8). The floor is the lowest foot position of the clip, ``h`` the higher end
    of the step between two frames.

    Args:
        skeleton: names the feet and the vertical axis.
        fps: frames per second.
        root_rule: as in ``DatasetInfo``; with ``none`` the feet move under a fixed root and nothing can be planted.
        height: metres above the floor at which a foot counts as lifted.
        of: which side to look at.

    Raises:
        ValueError: if ``root_rule`` is ``none``, or ``fps`` or ``height`` is not positive.
    """

    spatial = True
    meaning = "horizontal speed of feet that touch the ground; metres per second"
    higher_is_better = False

    def __init__(
        self,
        skeleton: Skeleton,
        fps: float,
        root_rule: RootRule = "relative",
        height: float = 0.025,
        of: Side = "fake",
    ) -> None:
        super().__init__(of)
        if root_rule == "none":
            raise ValueError(
                "FootSkate needs the path of the root, but root_rule is 'none'; use relative or absolute, "
                "or leave this metric out."
            )
        _check_positive(fps=fps, height=height)
        self.skeleton, self.fps, self.height = skeleton, fps, height

    def _measure(self, joints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        _check_spatial(self, joints, self.skeleton, "a front view hides half of the ground plane")
        up = self.skeleton.up_axis
        ground = [axis for axis in range(3) if axis != up]
        feet = joints[:, :, list(self.skeleton.feet)]
        height = feet[..., up] - feet[..., up].amin(dim=(1, 2), keepdim=True)
        height = torch.maximum(height[:, :-1], height[:, 1:])
        speed = feet[..., ground].diff(dim=1).norm(dim=-1) * self.fps
        planted = (2 - (height / self.height).exp2()).clamp(0, 1)
        return speed, planted * _runs(mask, 2)[:, :, None]


class Jerk(_Average):
    """Mean size of the third time derivative of joint positions: high for jitter, near 0 for frozen motion.

    Args:
        fps: frames per second.
        of: which side to look at; compare with the value of real clips.
    """

    meaning = "mean jerk of the joints (best near the value of real clips); metres per second cubed"
    higher_is_better = None

    def __init__(self, fps: float, of: Side = "fake") -> None:
        super().__init__(of)
        _check_positive(fps=fps)
        self.fps = fps

    def _measure(self, joints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if joints.shape[1] < 4:
            raise ValueError(f"Jerk needs clips of at least 4 frames, got {joints.shape[1]}.")
        jerk = joints.diff(n=3, dim=1).norm(dim=-1) * self.fps**3
        return jerk, _runs(mask, 4)[:, :, None].expand_as(jerk)


class NearestTrainingDistance(_Average):
    """Distance from each clip to the nearest training clip, averaged: near 0 where the generator memorised.

    The distance of two clips is the mean over frames and joints of the distance between corresponding joints.

    Args:
        reference: ``[n, t, v, c]`` training clips in metres.
        of: which side to look at; unseen real clips give the value to compare with.

    Raises:
        ValueError: if ``reference`` holds no clips of that shape.
    """

    meaning = "mean joint distance to the nearest training clip (0 means memorised; compare with unseen clips); metres"
    higher_is_better = None
    reference: Tensor

    def __init__(self, reference: Tensor, of: Side = "fake") -> None:
        super().__init__(of)
        if reference.ndim != 4 or not len(reference):
            raise ValueError(f"reference has shape {list(reference.shape)}, expected [n, t, v, c] with n >= 1.")
        if not torch.isfinite(reference).all():
            raise ValueError("The training clips hold NaN or infinities.")
        self.register_buffer("reference", reference.detach().float(), persistent=False)
        self._search: NearestClip | None = None

    def _measure(self, joints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if joints.shape[1:] != self.reference.shape[1:]:
            raise ValueError(
                f"NearestTrainingDistance got clips {list(joints.shape[1:])}, but the training clips are "
                f"{list(self.reference.shape[1:])} (t, v, c); cut both to one length."
            )
        if self._search is None or self._search.device != joints.device:
            self._search = NearestClip(self.reference.to(joints.device))
        nearest = self._search(joints, mask)
        return nearest, torch.ones_like(nearest)


class _PairwiseFeatures(_Featured):
    """Collected features and labels of one side, and the mean feature distance over chosen pairs."""

    collected: list[Tensor] | Tensor
    labels: list[Tensor] | Tensor

    def __init__(self, recognizer: Recognizer, of: Side = "fake") -> None:
        super().__init__()
        check_side(of)
        self.recognizer, self.of = recognizer, of
        self.add_state("collected", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def _take(self, joints: Tensor, label: Tensor, mask: Tensor, real: bool) -> None:
        if real != (self.of == "real"):
            return
        assert isinstance(self.collected, list)
        assert isinstance(self.labels, list)
        self.collected.append(self._embed(joints))
        self.labels.append(label)

    def _pair_sums(self) -> tuple[Tensor, Tensor, Tensor]:
        """``[n]`` sum of distances from each sample to all, to those of its class, and ``[n]`` its label."""
        if isinstance(self.collected, list) and not self.collected:
            _need(self, torch.zeros(()), self.of)
        features, label = double(dim_zero_cat(self.collected)), dim_zero_cat(self.labels)
        features = features - features.mean(dim=0)
        label = label.to(features.device)
        step = max(1, _CHUNK // len(features))
        to_all, to_class = [], []
        for start in range(0, len(features), step):
            here = slice(start, start + step)
            distance = squared_distances(features[here], features).sqrt_()
            # of a sample to itself nothing but rounding is left
            distance.diagonal(offset=start).zero_()
            to_all.append(distance.sum(dim=1))
            to_class.append((distance * (label[here, None] == label)).sum(dim=1))
        return torch.cat(to_all), torch.cat(to_class), label


class Diversity(_PairwiseFeatures):
    """Mean feature distance over all pairs of clips (the value that 200 random pairs of Action2Motion estimate).

    Args:
        recognizer: trained on the same skeleton and split.
        of: which side to look at; compare with the value of real clips.
    """

    meaning = "mean feature distance between clips (best near the value of real clips); feature units"
    higher_is_better = None

    def compute(self) -> Tensor:
        """Scalar float64; raises ``TooFewSamplesError`` below 2 clips."""
        to_all, _, label = self._pair_sums()
        n = len(label)
        if n < 2:
            raise TooFewSamplesError(f"Diversity needs at least 2 {self.of} clips, got {n}.")
        return to_all.sum() / (n * (n - 1))


class Multimodality(_PairwiseFeatures):
    """Mean feature distance over all pairs of clips of one class, averaged over classes with at least 2 clips.

    Args:
        recognizer: trained on the same skeleton and split.
        of: which side to look at; compare with the value of real clips.
    """

    meaning = "mean feature distance within a class (best near the value of real clips); feature units"
    higher_is_better = None

    def compute(self) -> Tensor:
        """Scalar float64; raises ``TooFewSamplesError`` where no class has 2 clips."""
        _, to_class, label = self._pair_sums()
        n = torch.bincount(label)
        enough = n > 1
        if not enough.any():
            raise TooFewSamplesError(f"Multimodality needs at least 2 {self.of} clips of one class, got 1 per class.")
        total = torch.zeros(len(n), dtype=to_class.dtype, device=label.device).index_add_(0, label, to_class)
        return (total[enough] / (n * (n - 1))[enough]).mean()


def _runs(mask: Tensor, frames: int) -> Tensor:
    """``[b, t]`` -> ``[b, t - frames + 1]``: whether that many frames in a row count."""
    return mask.unfold(1, frames, 1).all(dim=-1)


def _need(metric: Metric, weight: Tensor, of: Side) -> None:
    if not weight > 0:
        raise TooFewSamplesError(f"{type(metric).__name__} has seen no {of} clips that it can measure.")


def _check_spatial(metric: Metric, joints: Tensor, skeleton: Skeleton, why: str) -> None:
    if joints.shape[2:] != (skeleton.num_joints, 3):
        raise ValueError(
            f"{type(metric).__name__} got joints {list(joints.shape)}, expected [b, t, {skeleton.num_joints}, 3] of "
            f"'{skeleton.name}'" + (f"; in two dimensions {why}." if joints.shape[3] == 2 else ".")
        )
    if joints.shape[1] < 2:
        raise ValueError(f"{type(metric).__name__} needs clips of at least 2 frames, got {joints.shape[1]}.")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}, expected a positive number.")
