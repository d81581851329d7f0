"""Does a model of motion do what is asked? Classes are asked for, a recogniser names what was made."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from mutoscope.evaluators.trained import TrainedRecognizer
from mutoscope.kinds.controllability import Controllable, Line, Wishes, controllability
from mutoscope.kinds.motion.baselines import RealClips
from mutoscope.kinds.motion.measure import Recognizers
from mutoscope.kinds.tables import Table
from mutoscope.kinds.task import EvaluationTask
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.metrics.protocol import state_hash
from mutoscope.models.generative import GeneratesMotion, GenerativeModule
from mutoscope.structures import MotionBatch

#: makes clips ``[n, t, v, c]`` of labels ``[n]`` or of weights ``[n, classes]``, from the noise of a seed
Sampler = Callable[[Tensor, int], Tensor]
#: joints are asked to move that carry this share of the movement of real clips of a class
_CARRIES = 0.8

_NOTHING = "every motion is of a class; none can be asked for."
_WHOLE = "a class holds for the whole clip."
#: questions that take a recogniser, and two classes
_JUDGED = ("action_swap", "effect_over_noise", "composition")


class MotionControl(Controllable[Tensor, Tensor]):
    """Asks for classes, and for mixtures of two where a model takes them.

    What a class asks for is told by real clips: those joints that carry four fifths of their movement are asked to
    move, all others are not.

    Args:
        sampler: of the model, or of what stands in its place.
        recognizer: the judge; without one, only where things move is looked at.
        training: real clips, by which joints are asked to move.
        cases: how many.
        mixtures: why the sampler takes no weights of classes, if it does not.
        seed: of which classes are asked for.
    """

    def __init__(
        self,
        sampler: Sampler,
        recognizer: TrainedRecognizer | None,
        training: MotionBatch,
        cases: int,
        *,
        classes: int,
        mixtures: str = "",
        seed: int = 0,
    ) -> None:
        self.sampler, self.recognizer, self.cases, self.seed = sampler, recognizer, cases, seed
        self.classes, self._training, self._mixtures = classes, training, mixtures

    @property
    def judge(self) -> str:
        if self.recognizer is None:
            return "nobody"
        return f"{self.recognizer.title}, which names {self.recognizer.accuracy:.1%} of validation clips rightly"

    @cached_property
    def judge_hash(self) -> str | None:
        if self.recognizer is None:
            return None
        return state_hash(cast(torch.nn.Module, self.recognizer.network).state_dict())

    @property
    def not_applicable(self) -> Mapping[str, str]:
        found = {"effect_over_nothing": _NOTHING, "timing": _WHOLE}
        if self._mixtures:
            found["composition"] = self._mixtures
        if self.recognizer is None:
            found |= dict.fromkeys(_JUDGED, "no metric asks for a recogniser, and nobody else names motions.")
        if self.classes < 2:
            found |= dict.fromkeys(_JUDGED, "there is one class only.")
        return found

    @property
    def chance(self) -> Mapping[str, float]:
        pairs = self.classes * (self.classes - 1) / 2
        return {"composition": 1 / pairs} if pairs else {}

    def wishes(self) -> Wishes[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        # every class before any comes twice, each with another one
        first = torch.cat(
            [torch.randperm(self.classes, generator=generator) for _ in range(-(-self.cases // self.classes))]
        )[: self.cases]
        if self.classes < 2:
            return Wishes(first)
        second = (first + torch.randint(1, self.classes, first.shape, generator=generator)) % self.classes
        mixed = torch.eye(self.classes)[first] / 2 + torch.eye(self.classes)[second] / 2
        return Wishes(first, second, together=(mixed, first, second))

    def sample(self, request: Tensor, seed: int) -> Tensor:
        return self.sampler(request, seed).float().cpu()

    def shows(self, sample: Tensor, request: Tensor) -> Tensor:
        logits = self._need_judge().network(sample)
        if request.ndim == 1:
            return logits.argmax(dim=1) == request
        # of a mixture the two likeliest classes, whichever of them is the likelier
        found, asked = (x.topk(2, dim=1).indices.sort(dim=1).values for x in (logits, request))
        return (found == asked).all(dim=1)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        features = self._need_judge().network.features
        return (features(one) - features(other)).norm(dim=1)

    def progress(self, sample: Tensor, nothing: Tensor, request: Tensor) -> Tensor:
        raise ValueError(_NOTHING)

    def change(self, sample: Tensor, nothing: Tensor | None, request: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        moved = movement(sample)
        asked = self._asked[request].to(moved)
        # what a class moves elsewhere is what a model moves there that takes any class for any other
        elsewhere = (self._usual / self._usual.sum() * asked).sum(dim=1)
        return (moved * asked).sum(dim=1), moved.sum(dim=1), elsewhere

    def onset(self, sample: Tensor, request: Tensor) -> Tensor:
        raise ValueError(_WHOLE)

    def _need_judge(self) -> TrainedRecognizer:
        if self.recognizer is None:
            raise ValueError("nobody names motions.")
        return self.recognizer

    @cached_property
    def _by_class(self) -> Tensor:
        """``[classes, v]`` mean movement of the joints of real clips."""
        moved, label = movement(self._training.joints), self._training.label
        total = torch.zeros(self.classes, moved.shape[1]).index_add_(0, label, moved)
        return total / torch.bincount(label, minlength=self.classes).clamp(min=1)[:, None]

    @cached_property
    def _usual(self) -> Tensor:
        """``[v]`` movement of the joints over all classes, each counting alike."""
        return (self._by_class / self._by_class.sum(dim=1, keepdim=True).clamp(min=1e-12)).mean(dim=0)

    @cached_property
    def _asked(self) -> Tensor:
        """``[classes, v]`` whether a class asks a joint to move."""
        share, order = (self._by_class / self._by_class.sum(dim=1, keepdim=True).clamp(min=1e-12)).sort(
            dim=1, descending=True
        )
        carried = share.cumsum(dim=1) - share < _CARRIES
        return torch.zeros_like(carried).scatter_(1, order, carried)


def movement(joints: Tensor) -> Tensor:
    """``[n, t, v, c] -> [n, v]``: mean speed of every joint, units of the joints per frame."""
    return joints.float().diff(dim=1).norm(dim=-1).mean(dim=1)


def motion_control(task: EvaluationTask, real: RealClips, recognizers: Recognizers) -> tuple[Table, dict[str, Any]]:
    """The table of controllability, and what the protocol says of it.

    Args:
        task: of models of motion.
        real: held-out clips stand in the place of answers in the last row.
        recognizers: the usual one is the judge, where a metric has asked for it; none is trained for this table alone.
    """
    settings = task.settings
    recognizer = recognizers.at_hand
    truncation = settings.options.truncation

    def of(model: GenerativeModule) -> Sampler:
        placed = cast(GeneratesMotion, model.to(task.device))
        return lambda wanted, seed: placed.generate(wanted.to(task.device), seed=seed, truncation=truncation).fake

    def asked(sampler: Sampler, mixtures: str = "") -> MotionControl:
        return MotionControl(
            sampler,
            recognizer,
            real.all_training,
            settings.controllability,
            classes=task.info.num_classes,
            mixtures=mixtures,
            seed=settings.seed,
        )

    model = task.model.module
    mixtures = "" if model.takes_mixtures else f"{type(model).__name__} takes one class at a time."
    found = [(asked(of(one.module), mixtures), seed) for one in task.models for seed in settings.seeds]
    truth = asked(clips_as_answers(real.held_out), "no real clip shows two classes.")
    return controllability(
        task,
        [
            Line("trained", "model", "The model.", found),
            Line(
                "real, held out (floor)",
                "floor",
                "Real clips of the classes that are asked for, other ones for other noise.",
                [(truth, settings.seed)],
            ),
        ],
    )


def clips_as_answers(clips: MotionBatch) -> Sampler:
    """Answers labels with real clips of these classes in turn; the next seed begins with the next clip.

    Raises:
        TooFewSamplesError: when asked, for a class of which there is no clip.
    """
    order = clips.label.argsort(stable=True)

    def answer(label: Tensor, seed: int) -> Tensor:
        classes = int(torch.cat([clips.label, label]).max()) + 1
        count = torch.bincount(clips.label, minlength=classes)
        if bool((count[label] == 0).any()):
            lacking = int(label[count[label] == 0][0])
            raise TooFewSamplesError(f"no held-out clip shows class {lacking}, which stands for an answer.")
        before = count.cumsum(dim=0) - count
        asked = torch.eye(classes, dtype=torch.long)[label]
        rank = (asked.cumsum(dim=0) - asked)[torch.arange(len(label)), label]
        return clips.joints[order[before[label] + (rank + seed) % count[label]]]

    return answer
