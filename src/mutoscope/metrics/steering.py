"""What a steered agent is measured by: its mask, its shifts, its local actions (GLASS, section 4; spec section 9)."""

import warnings
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.clustering import normalized_mutual_info_score
from torchmetrics.utilities import dim_zero_cat

from mutoscope.metrics.average import RunningAverage
from mutoscope.metrics.common import TooFewSamplesError, check_finite
from mutoscope.structures.label_units import PIXELS_OF_LABEL

Layer = Literal["foreground", "background"]
Unit = Literal["pixels", "reference"]
Statistic = Literal["mean", "min", "max"]

#: local actions K of the paper's model of W-Sprites
_CODES = 6
#: cosine of 45 degrees
_NEAR = 0.5**0.5


def soft_iou(masks: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of masks that need not be 0 or 1: ``[..., h, w]`` in [0, 1] -> ``[...]``."""
    shared = (masks * truth).sum((-2, -1))
    either = (1 - (1 - masks) * (1 - truth)).sum((-2, -1))
    return shared / (either + 1e-16)


class MaskIoU(RunningAverage):
    """Soft IoU of predicted masks with the true ones, the mean over all frames (Table 1).

    A perfect mask scores 1, an empty one 0, one of the whole frame the agent's share of it.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    meaning = "soft overlap of the predicted mask with the true one, mean over frames; from 0 to 1"

    def __init__(self) -> None:
        super().__init__("mask")

    def update(self, masks: Tensor, real_masks: Tensor) -> None:
        """Add clips.

        Args:
            masks: ``[b, t, 1, h, w]`` in [0, 1].
            real_masks: ``[b, t, 1, h, w]`` uint8, 255 where the agent is.

        Raises:
            ValueError: for masks that do not fit together or are no numbers.
        """
        if masks.shape != real_masks.shape:
            raise ValueError(f"MaskIoU got masks of {list(masks.shape)} and true ones of {list(real_masks.shape)}.")
        check_finite("MaskIoU", masks=masks)
        iou = soft_iou(masks.double(), real_masks.double() / 255)
        self._add(iou, torch.ones_like(iou, dtype=torch.bool))


class DrawnMaskIoU(RunningAverage):
    """Soft IoU of the masks that a model sees in what it drew with the true ones (mIoU_RE, Table 3).

    The given first frame does not count.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)
    meaning = "soft overlap of the mask seen in generated frames with the true one, mean over frames; from 0 to 1"

    def __init__(self) -> None:
        super().__init__("mask")

    def update(self, drawn_masks: Tensor, real_masks: Tensor) -> None:
        """Add clips.

        Args:
            drawn_masks: ``[b, t, 1, h, w]`` in [0, 1].
            real_masks: ``[b, t, 1, h, w]`` uint8, 255 where the agent is.

        Raises:
            ValueError: for masks that do not fit together or are no numbers.
        """
        if drawn_masks.shape != real_masks.shape:
            raise ValueError(
                f"DrawnMaskIoU got masks of {list(drawn_masks.shape)} and true ones of {list(real_masks.shape)}."
            )
        check_finite("DrawnMaskIoU", masks=drawn_masks)
        iou = soft_iou(drawn_masks[:, 1:].double(), real_masks[:, 1:].double() / 255)
        self._add(iou, torch.ones_like(iou, dtype=torch.bool))


class ShiftError(Metric):
    """Distance of predicted shifts from the true ones, over transitions (Table 2).

    Args:
        layer: of the agent or of what lies behind it.
        statistic: mean, smallest or largest distance.
        unit: ``pixels``; or ``reference``, as the original compares on W-Sprites: predicted pixels with labels that
            are not pixels, so that a perfect predictor scores about 0.51 for the background and 3.8 for the foreground.
            The background's content moves against the camera there.

    Raises:
        ValueError: for an unknown setting.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False

    total: Tensor
    count: Tensor
    smallest: Tensor
    largest: Tensor

    def __init__(self, layer: Layer = "foreground", statistic: Statistic = "mean", unit: Unit = "pixels") -> None:
        super().__init__()
        for name, value, known in (
            ("layer", layer, ("foreground", "background")),
            ("statistic", statistic, ("mean", "min", "max")),
            ("unit", unit, ("pixels", "reference")),
        ):
            if value not in known:
                raise ValueError(f"{name} is '{value}', expected one of {', '.join(known)}.")
        self.layer, self.statistic, self.unit = layer, statistic, unit
        which = {"mean": "mean", "min": "smallest", "max": "largest"}[statistic]
        scale = "pixels" if unit == "pixels" else "as released, pixels against labels of another unit"
        self.meaning = f"{which} distance of predicted {layer} shifts from the true ones; {scale}"
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("smallest", torch.full((), torch.inf, dtype=torch.float64), dist_reduce_fx="min")
        self.add_state("largest", torch.zeros((), dtype=torch.float64), dist_reduce_fx="max")

    def update(self, shifts: Tensor, real_shifts: Tensor, background_shifts: Tensor, real_pans: Tensor) -> None:
        """Add transitions ``[..., 2]`` in pixels, right and down: predicted and true ones of agent and background.

        Raises:
            ValueError: for shifts that do not fit together or are no numbers.
        """
        found, truth = (shifts, real_shifts) if self.layer == "foreground" else (background_shifts, real_pans)
        if found.shape != truth.shape:
            raise ValueError(f"ShiftError got shifts of {list(found.shape)} and true ones of {list(truth.shape)}.")
        check_finite("ShiftError", shifts=found, true_shifts=truth)
        found, truth = found.double(), truth.double()
        if self.unit == "reference":
            truth = truth / truth.new_tensor(PIXELS_OF_LABEL[self.layer])
            found = found if self.layer == "foreground" else -found
        distance = (found - truth).norm(dim=-1).to(self.total.device)
        self.total = self.total + distance.sum()
        self.count = self.count + distance.numel()
        if distance.numel():
            self.smallest = torch.minimum(self.smallest, distance.min())
            self.largest = torch.maximum(self.largest, distance.max())

    def compute(self) -> Tensor:
        """A float64 scalar; raises ``TooFewSamplesError`` before anything was counted."""
        if not self.count > 0:
            raise TooFewSamplesError("ShiftError has seen no transition.")
        return {"mean": self.total / self.count, "min": self.smallest, "max": self.largest}[self.statistic]


class ShiftAngleAccuracy(RunningAverage):
    """Share of transitions whose predicted shift points within 45 degrees of the true one; those at rest do not count.

    Args:
        layer: of the agent or of what lies behind it.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

    def __init__(self, layer: Layer = "foreground") -> None:
        super().__init__("transition in which something moves")
        if layer not in ("foreground", "background"):
            raise ValueError(f"layer is '{layer}', expected foreground or background.")
        self.layer = layer
        self.meaning = f"{layer} shifts within 45 degrees of the true direction, where it moves; fraction from 0 to 1"

    def update(self, shifts: Tensor, real_shifts: Tensor, background_shifts: Tensor, real_pans: Tensor) -> None:
        """Add transitions, see :meth:`ShiftError.update`."""
        found, truth = (shifts, real_shifts) if self.layer == "foreground" else (background_shifts, real_pans)
        check_finite("ShiftAngleAccuracy", shifts=found, true_shifts=truth)
        found, truth = found.double(), truth.double()
        lengths = found.norm(dim=-1) * truth.norm(dim=-1)
        cosine = (found * truth).sum(-1) / lengths.clamp(min=1e-12)
        self._add((cosine > _NEAR).double(), truth.abs().sum(-1) > 0)


#: torchmetrics tells mutual information in single precision
_INFORMATION_ROUNDING = 1e-5


class ActionInformation(Metric):
    """What the model's local actions tell of the true ones: normalised mutual information (Table 3).

    Args:
        within: within every agent, then the mean (NMI_S), instead of over all transitions (NMI_G).
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better: bool | None = True

    meaning: str
    found: list[Tensor]
    truth: list[Tensor]
    who: list[Tensor]

    def __init__(self, within: bool = False) -> None:
        super().__init__()
        self.within = within
        which = "within every agent, mean" if within else "over all agents"
        self.meaning = f"NMI of the model's local actions with the true ones, {which}; from 0 to 1"
        for name in ("found", "truth", "who"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, actions: Tensor, real_actions: Tensor, sprites: Tensor) -> None:
        """Add transitions.

        Args:
            actions: ``[b, t]`` int64 of the model.
            real_actions: ``[b, t]`` int64.
            sprites: ``[b]`` int64 who the agent is.
        """
        if actions.shape != real_actions.shape:
            raise ValueError(
                f"{type(self).__name__} got actions of {list(actions.shape)} and true ones of "
                f"{list(real_actions.shape)}."
            )
        self.found.append(actions.flatten())
        self.truth.append(real_actions.flatten())
        self.who.append(sprites[:, None].expand_as(actions).flatten())

    def compute(self) -> Tensor:
        """A scalar; raises ``TooFewSamplesError`` before anything was counted."""
        if isinstance(self.found, list) and not self.found:
            raise TooFewSamplesError(f"{type(self).__name__} has seen no transition.")
        return self._information(dim_zero_cat(self.found), dim_zero_cat(self.truth), dim_zero_cat(self.who))

    def _information(self, found: Tensor, truth: Tensor, who: Tensor) -> Tensor:
        return within_agents(found, truth, who) if self.within else normalised_mutual_information(found, truth)


class ActionConfusion(ActionInformation):
    """How far the model's actions mean other things for other agents: NMI_S - NMI_G (CON, Table 3)."""

    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        self.meaning = "NMI of local actions within agents less NMI over all: do actions mean the same for everybody?"

    def _information(self, found: Tensor, truth: Tensor, who: Tensor) -> Tensor:
        difference = within_agents(found, truth, who) - normalised_mutual_information(found, truth)
        # of two numbers that are equal, single precision leaves its rounding
        return difference.where(difference.abs() > _INFORMATION_ROUNDING, torch.zeros_like(difference))


class ChanceInformation(ActionInformation):
    """What random actions tell of the true ones, for as many transitions (NMI_RAND): with few it is far from 0.

    Args:
        codes: number of actions drawn from; the model's own where that is known, else the six of the paper's model.
        seed: of the draw.

    Raises:
        ValueError: for no actions at all.
    """

    higher_is_better = None

    def __init__(self, codes: int | None = None, seed: int = 0) -> None:
        super().__init__()
        if codes is not None and codes < 1:
            raise ValueError(f"codes is {codes}, expected at least 1.")
        self.codes, self.seed = codes or _CODES, seed
        self.meaning = "NMI of random actions with the true ones, for as many transitions: what chance gives"

    def _information(self, found: Tensor, truth: Tensor, who: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randint(self.codes, (len(truth),), generator=generator).to(truth.device)
        return normalised_mutual_information(drawn, truth)


def within_agents(found: Tensor, truth: Tensor, who: Tensor) -> Tensor:
    """The mean over agents of the information within each; all ``[n]``."""
    return torch.stack([normalised_mutual_information(found[who == a], truth[who == a]) for a in who.unique()]).mean()


def normalised_mutual_information(a: Tensor, b: Tensor) -> Tensor:
    """``2 I / (H + H)`` of two labellings ``[n]``; 0 where neither tells anything."""
    with warnings.catch_warnings():
        # torchmetrics counts in a sparse tensor of its own making
        warnings.filterwarnings("ignore", message="Sparse invariant checks")
        return normalized_mutual_info_score(a, b, "arithmetic").to(torch.float64)
