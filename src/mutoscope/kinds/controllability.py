"""Does a model do what is asked, and nothing else? The same questions to every kind of data, in one table.

A kind says by a :class:`Controllable` how its models are asked and who reads what they made; everything else, from the
questions to the table, is here. The number of a question is a ratio of sums over cases.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from mutoscope.kinds.measuring import reason_of
from mutoscope.kinds.tables import Role, Row, Table, over_runs
from mutoscope.kinds.task import EvaluationTask
from mutoscope.metrics.protocol import Protocol as MetricProtocol
from mutoscope.metrics.protocol import ratio_interval
from mutoscope.render.page.tables import Column
from mutoscope.runtime.console import progress_bar, say

RequestT = TypeVar("RequestT")
SampleT = TypeVar("SampleT")

#: an action begins in time within this share of a clip
IN_TIME = 1 / 6

#: levels of a colour, of 255, below which nobody sees a change
_VISIBLE = 4

#: the questions, the same for all kinds
QUESTIONS = (
    Column(
        "action_swap",
        explain="same start and noise, another action asked: the judge names what was asked of both; share of pairs",
        better="higher",
        digits=3,
    ),
    Column(
        "effect_over_noise",
        explain="how far another action takes what is made, over how far other noise takes it; above 1 the action "
        "decides more than the noise, and best near real clips: far above them there is no variety",
        digits=3,
    ),
    Column(
        "effect_over_nothing",
        explain="how much of what was asked happens, beyond what happens unasked; 1 as much as asked, 0 nothing",
        digits=3,
    ),
    Column(
        "locality",
        explain="share of what changes that changes where it was asked for",
        better="higher",
        digits=3,
    ),
    Column(
        "composition",
        explain="two actions at once: the judge finds both, of those pairs each of which it finds alone; share",
        better="higher",
        digits=3,
    ),
    Column(
        "timing",
        explain="begins within a sixth of a clip of when it was asked for; share of requests, early and late ones",
        better="higher",
        digits=3,
    ),
)
#: what a model that ignores the action reaches at most: one clip cannot show two actions, nor begin at two times
_CHANCE = {"action_swap": 0.0, "effect_over_noise": 0.0, "effect_over_nothing": 0.0, "timing": 0.5}


@dataclass(frozen=True)
class Wishes(Generic[RequestT]):
    """What is asked of a model, case by case; a request holds all cases of one question.

    Args:
        first, second: two actions from the same starts, as many cases.
        nothing: the same starts and no action; ``None`` where a model cannot be asked for none.
        together: two actions at once, then each of them alone, from the same starts.
        timed: requests with when their action is to begin, as a share of the clip.
    """

    first: RequestT
    second: RequestT | None = None
    nothing: RequestT | None = None
    together: tuple[RequestT, RequestT, RequestT] | None = None
    timed: Sequence[tuple[RequestT, float]] = ()

    def need_second(self) -> RequestT:
        """Raises ``ValueError`` where no second action can be asked for."""
        if self.second is None:
            raise ValueError("no second action can be asked for from the same start.")
        return self.second


class Controllable(Protocol[RequestT, SampleT]):
    """How models of a kind of data are asked, and how what they made is read.

    Answers to requests of ``n`` cases are tensors ``[n]`` on the CPU.
    """

    @property
    def judge(self) -> str:
        """Who reads what was made, in words."""

    @property
    def judge_hash(self) -> str | None:
        """Of the network that reads, if one does."""

    @property
    def not_applicable(self) -> Mapping[str, str]:
        """By question, why such a model cannot be asked it."""

    @property
    def chance(self) -> Mapping[str, float]:
        """By question, what a model that ignores the action reaches, where this is not the same for all kinds."""

    @abstractmethod
    def wishes(self) -> Wishes[RequestT]:
        """What is asked."""

    @abstractmethod
    def sample(self, request: RequestT, seed: int) -> SampleT:
        """What the model makes of a request; the same noise for the same seed, whatever the action."""

    @abstractmethod
    def shows(self, sample: SampleT, request: RequestT) -> Tensor:
        """Bool: whether the judge finds all that was asked."""

    @abstractmethod
    def distance(self, one: SampleT, other: SampleT) -> Tensor:
        """How far apart two samples are, 0 or more, in one unit."""

    @abstractmethod
    def progress(self, sample: SampleT, nothing: SampleT, request: RequestT) -> Tensor:
        """How much of what was asked happens beyond what happens unasked; NaN where that cannot be said."""

    @abstractmethod
    def change(self, sample: SampleT, nothing: SampleT | None, request: RequestT) -> tuple[Tensor, Tensor, Tensor]:
        """What changes where it was asked for, what changes in all, and the share of everything that was asked for."""

    @abstractmethod
    def onset(self, sample: SampleT, request: RequestT) -> Tensor:
        """When the action begins, as a share of the clip; infinity where it never does."""


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Args:
        parts: ``[m, 2]`` numerator and denominator of every case; whole numbers, 0 or 1, where it is a share.
        chance: what a model that ignores the action reaches, where that is known.
        absent: why there is no answer.
    """

    parts: Tensor = field(default_factory=lambda: torch.zeros(0, 2, dtype=torch.float64))
    chance: float | None = None
    absent: str = ""

    @property
    def value(self) -> float | None:
        """The ratio of sums over cases; ``None`` where there is none."""
        top, bottom = self.parts.sum(dim=0).tolist()
        return None if self.absent or not bottom > 0 else top / bottom


def share_of(right: Tensor, counted: Tensor | None = None) -> Tensor:
    """``[m, 2]`` parts of a share: cases ``[m]`` that are right, of those that count."""
    counted = torch.ones_like(right, dtype=torch.bool) if counted is None else counted
    return torch.stack([right & counted, counted], dim=1).long()


def in_time(begun: Tensor, asked: Tensor | float) -> Tensor:
    """Bool: whether an action begins when it was asked to, both as shares of the clip."""
    return (begun - asked).abs() <= IN_TIME + 1e-6


def visible(one: Tensor, other: Tensor) -> Tensor:
    """Differences of frames ``[n, t, 3, h, w]`` uint8, summed over colours: ``[n, t, h, w]``.

    Those below four levels of each colour are 0: what coding and rounding leave is no change.
    """
    differs = (one.short() - other.short()).abs().sum(dim=2)
    return differs * (differs >= 3 * _VISIBLE)


def in_region(change: Tensor, region: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Change of cases ``[n, ...]`` inside a region of the same shape (bool or 0..1), in all, and the region's share."""
    weight, change = region.double().flatten(1), change.double().flatten(1)
    return (change * weight).sum(dim=1), change.sum(dim=1), weight.mean(dim=1)


class Asking(Generic[RequestT, SampleT]):
    """Asks one model all questions; what two questions need is made once.

    Args:
        asked: the model.
        seed: of noise; the next one is other noise.
        strict: let errors through that are no way to say that there is no answer.
    """

    def __init__(self, asked: Controllable[RequestT, SampleT], seed: int, *, strict: bool = False) -> None:
        self.asked, self.seed, self._strict = asked, seed, strict
        self._advance: Callable[[], object] = lambda: None
        self._unasked = ""
        try:
            self.wishes: Wishes[RequestT] | None = asked.wishes()
        except Exception as error:
            if strict and not isinstance(error, ValueError):
                raise
            self.wishes, self._unasked = None, reason_of(error)
        self._made: dict[tuple[int, int], SampleT] = {}

    @property
    def work(self) -> int:
        """How many samples are made at most."""
        if self.wishes is None:
            return 0
        wishes, asked = self.wishes, [column.key for column in QUESTIONS if column.key not in self.asked.not_applicable]
        needed = [wishes.first, wishes.second, wishes.nothing]
        needed += wishes.together or () if "composition" in asked else ()
        needed += [request for request, _ in wishes.timed] if "timing" in asked else []
        return len({id(request) for request in needed if request is not None}) + ("effect_over_noise" in asked)

    def answers(self, advance: Callable[[], object] = lambda: None) -> dict[str, Answer]:
        """By question; ``advance`` is called whenever something was made. What was made is not kept."""
        self._advance = advance
        questions: dict[str, Callable[[Wishes[RequestT]], Answer]] = {
            "action_swap": self._action_swap,
            "effect_over_noise": self._effect_over_noise,
            "effect_over_nothing": self._effect_over_nothing,
            "locality": self._locality,
            "composition": self._composition,
            "timing": self._timing,
        }
        found = {}
        for name, ask in questions.items():
            if reason := self.asked.not_applicable.get(name):
                found[name] = Answer(absent=f"not applicable: {reason}")
            elif self.wishes is None:
                found[name] = Answer(absent=self._unasked)
            else:
                found[name] = self._asked(ask, self.wishes)
        self._made.clear()
        return found

    def _asked(self, ask: Callable[[Wishes[RequestT]], Answer], wishes: Wishes[RequestT]) -> Answer:
        """An answer, or the reason why there is none."""
        try:
            with torch.inference_mode():
                return ask(wishes)
        except Exception as error:
            if self._strict and not isinstance(error, ValueError):
                raise
            return Answer(absent=reason_of(error))

    def _sample(self, request: RequestT, seed: int | None = None) -> SampleT:
        key = id(request), self.seed if seed is None else seed
        if key not in self._made:
            self._made[key] = self.asked.sample(request, key[1])
            self._advance()
        return self._made[key]

    def _chance(self, name: str) -> float | None:
        return self.asked.chance.get(name, _CHANCE.get(name))

    def _action_swap(self, wishes: Wishes[RequestT]) -> Answer:
        first, second = wishes.first, wishes.need_second()
        both = self.asked.shows(self._sample(first), first) & self.asked.shows(self._sample(second), second)
        return Answer(share_of(both), self._chance("action_swap"))

    def _effect_over_noise(self, wishes: Wishes[RequestT]) -> Answer:
        one = self._sample(wishes.first)
        noise = self.asked.distance(one, self._sample(wishes.first, self.seed + 1))
        if not noise.sum() > 0:
            return Answer(absent="not applicable: the model draws nothing at random.")
        action = self.asked.distance(one, self._sample(wishes.need_second()))
        return Answer(torch.stack([action, noise], dim=1).double(), self._chance("effect_over_noise"))

    def _effect_over_nothing(self, wishes: Wishes[RequestT]) -> Answer:
        if wishes.nothing is None:
            raise ValueError("the model cannot be asked for no action.")
        done = self.asked.progress(self._sample(wishes.first), self._sample(wishes.nothing), wishes.first).double()
        told = done[~done.isnan()]
        if not len(told):
            raise ValueError("no case says how much was asked for.")
        return Answer(torch.stack([told, torch.ones_like(told)], dim=1), self._chance("effect_over_nothing"))

    def _locality(self, wishes: Wishes[RequestT]) -> Answer:
        nothing = None if wishes.nothing is None else self._sample(wishes.nothing)
        inside, whole, share = self.asked.change(self._sample(wishes.first), nothing, wishes.first)
        chance = float(share.double().mean())
        absent = "" if whole.sum() > 0 else "nothing changes."
        return Answer(torch.stack([inside, whole], dim=1).double(), chance, absent)

    def _composition(self, wishes: Wishes[RequestT]) -> Answer:
        if wishes.together is None:
            raise ValueError("no start allows two actions at once.")
        both, *each = wishes.together
        alone = torch.stack([self.asked.shows(self._sample(one), one) for one in each]).all(dim=0)
        if not alone.any():
            raise ValueError("of no pair of actions is each found alone.")
        return Answer(share_of(self.asked.shows(self._sample(both), both), alone), self._chance("composition"))

    def _timing(self, wishes: Wishes[RequestT]) -> Answer:
        if not wishes.timed:
            raise ValueError("no action can be asked for at a time.")
        begun = [in_time(self.asked.onset(self._sample(request), request), when) for request, when in wishes.timed]
        return Answer(share_of(torch.cat(begun)), self._chance("timing"))


@dataclass(frozen=True)
class Line:
    """What stands in one row of the table.

    Args:
        name: of the row.
        role: see :data:`~mutoscope.kinds.tables.Role`.
        what: it is, in a sentence.
        asked: by run (a checkpoint and a seed), with the seed of its noise.
    """

    name: str
    role: Role
    what: str
    asked: Sequence[tuple[Controllable[Any, Any], int]]


def controllability(
    task: EvaluationTask, lines: Sequence[Line], ceilings: Sequence[Row] = ()
) -> tuple[Table, dict[str, Any]]:
    """Ask every line all questions, with a bar.

    Args:
        task: whose evaluation it is.
        lines: at least one; the first one's judge reads the answers of all.
        ceilings: rows that were found otherwise, such as real clips in place of answers.

    Returns:
        The table, and what the protocol of the evaluation says of it.
    """
    settings = task.settings
    say("Asking for other actions, for none, for two at once, early and late ...")
    rows, every = [], list[Mapping[str, Answer]]()
    with progress_bar() as bar:
        runs = {line.name: [Asking(one, seed, strict=settings.strict) for one, seed in line.asked] for line in lines}
        work = bar.add_task("Asking", total=sum(one.work for asking in runs.values() for one in asking))
        for line in lines:
            found = [(asking.answers(lambda: bar.advance(work)), asking.seed) for asking in runs[line.name]]
            every += [answers for answers, _ in found]
            rows.append(over_runs([row_of(line.name, line.role, line.what, answers, seed) for answers, seed in found]))
    keys = [column.key for column in QUESTIONS]
    known = {key: next((one[key].chance for one in every if one[key].chance is not None), None) for key in keys}
    unknown = {key: "nothing was asked that tells it." for key, chance in known.items() if chance is None}
    counts = {key: max(len(one[key].parts) for one in every) for key in keys}
    judge = lines[0].asked[0][0]
    chance = Row("by chance", "foil", "What a model that ignores the action reaches.", 0, known, absent=unknown)
    protocols = {
        key: MetricProtocol(
            name=key,
            n_real=0,
            n_fake=counts[key],
            ddof=None,
            extractor=judge.judge_hash,
            dataset=task.datamodule.fingerprint,
            length=task.info.length,
            fps=task.info.fps,
            seed=settings.seed,
        )
        for key in keys
    }
    models, others = ([row for row in rows if (row.role == "model") == one] for one in (True, False))
    table = Table("Controllability", [*models, chance, *others, *ceilings], QUESTIONS, protocols, counted=False)
    for reason in replace(table, rows=models).absences():
        say(reason)
    told = {"cases": max(counts.values()), "judge": judge.judge, "judge_hash": judge.judge_hash, "in_time": IN_TIME}
    return table, told


def row_of(name: str, role: Role, what: str, answers: Mapping[str, Answer], seed: int | None = None) -> Row:
    """A row of the table; questions that were not asked are absent."""
    given = {column.key: answers.get(column.key, Answer(absent="not known of it.")) for column in QUESTIONS}
    values = {key: answer.value for key, answer in given.items()}
    absent = {key: answer.absent or "there was no case of it." for key, answer in given.items() if values[key] is None}
    intervals = {
        key: interval
        for key, answer in given.items()
        if values[key] is not None and (interval := ratio_interval(answer.parts)) is not None
    }
    count = max(len(answer.parts) for answer in given.values())
    return Row(name, role, what, count, values, absent=absent, seed=seed, intervals=intervals)
