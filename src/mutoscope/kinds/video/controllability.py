"""Does a model that can be steered do what is asked? Shifts and local actions from one picture, read by the model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mutoscope.kinds.controllability import (
    Answer,
    Controllable,
    Line,
    Wishes,
    controllability,
    in_region,
    row_of,
    share_of,
    visible,
)
from mutoscope.kinds.tables import Row, Table
from mutoscope.kinds.task import EvaluationTask
from mutoscope.kinds.video.generation import steerable
from mutoscope.kinds.video.measure import chunks
from mutoscope.metrics.protocol import state_hash
from mutoscope.models.steerable import Decoded, SteerableVideo
from mutoscope.structures import VideoBatch

#: cosine of 45 degrees
_NEAR = 0.5**0.5
#: shifts below so many pixels are no movement
_MOVES = 1.0
#: a pixel is the agent's from this value of a mask on
_AGENT = 0.5


@dataclass(frozen=True)
class Steps:
    """What is asked at every step; one that is ``None`` is not looked for in the answer.

    Args:
        shifts, pans: ``[n, t - 1, 2]`` pixels of agent and background, right and down.
        actions: ``[n, t - 1]`` int64 local actions.
        wanted: which of these are the question.
    """

    shifts: Tensor
    pans: Tensor
    actions: Tensor
    wanted: tuple[str, ...]


@dataclass(frozen=True)
class Played:
    """What was drawn, and what the model reads of it; on the CPU.

    Args:
        frames: ``[n, t, 3, h, w]`` uint8.
        found: the motion in it.
    """

    frames: Tensor
    found: Decoded


class _Steering(Controllable[Steps, Played]):
    """Plays from the first frames of clips, and reads what was drawn by the model's own decoder.

    Args:
        model: to be asked.
        clips: held out.
        cases: how many at most.
        seed: of what is drawn by lot.
    """

    def __init__(self, model: SteerableVideo, clips: VideoBatch, cases: int, *, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        self.clips = clips.select(range(min(cases, len(clips))))
        self.steps = self.clips.length - 1

    @property
    def judge(self) -> str:
        return f"{type(self.model).__name__}'s own decoder, which sees in what was drawn what it sees in real clips"

    @cached_property
    def judge_hash(self) -> str:
        return state_hash(self.model.averaged.state_dict())

    @property
    def chance(self) -> Mapping[str, float]:
        return {}

    @property
    def not_applicable(self) -> Mapping[str, str]:
        if self.steps < 2:
            return {"timing": "clips of two frames have one step."}
        return {}

    @cached_property
    def decoded(self) -> Decoded:
        """The motion in the real clips, as the model sees it."""
        return self._decode(self.clips.frames)

    def sample(self, request: Steps, seed: int) -> Played:
        frames = []
        first = 0
        for part in chunks(self.clips):
            here = slice(first, first + len(part))
            told = (x[here].to(self.model.device) for x in (request.actions, request.shifts, request.pans))
            frames.append(self.model.play(part, *told).fake.cpu())
            first += len(part)
        drawn = torch.cat(frames)
        return Played(drawn, self._decode(drawn))

    def _decode(self, frames: Tensor) -> Decoded:
        parts = [self.model.decode(frames[i : i + 4].to(self.model.device)) for i in range(0, len(frames), 4)]
        names = ("shifts", "background_shifts", "actions", "confidence", "masks")
        return Decoded(*(torch.cat([getattr(part, name).cpu() for part in parts]) for name in names))

    def shows(self, sample: Played, request: Steps) -> Tensor:
        found = sample.found
        verdicts = {
            "shifts": lambda: near(found.shifts.mean(dim=1), request.shifts.mean(dim=1)),
            "pans": lambda: near(found.background_shifts.mean(dim=1), request.pans.mean(dim=1)),
            "actions": lambda: found.actions.mode(dim=1).values == request.actions.mode(dim=1).values,
        }
        return torch.stack([verdicts[name]() for name in request.wanted]).all(dim=0)

    def distance(self, one: Played, other: Played) -> Tensor:
        return (one.frames.short() - other.frames.short()).abs().flatten(1).float().mean(dim=1)

    def change(self, sample: Played, nothing: Played | None, request: Steps) -> tuple[Tensor, Tensor, Tensor]:
        if nothing is None:
            raise ValueError("what changes is told from what happens unasked.")
        differs = visible(sample.frames, nothing.frames)
        agent = (sample.found.masks > _AGENT) | (nothing.found.masks > _AGENT)
        # the given frame changes for nobody
        return in_region(differs[:, 1:], agent[:, 1:, 0])

    def _steps(self, *wanted: str, shifts: Tensor | None = None, pans: Tensor | None = None, **other: Tensor) -> Steps:
        n = len(self.clips)
        still = torch.zeros(n, self.steps, 2)
        actions = other.get("actions", self.decoded.actions[:, :1].expand(n, self.steps))
        return Steps(still if shifts is None else shifts, still if pans is None else pans, actions, wanted)

    def _directions(self) -> tuple[Tensor, Tensor]:
        """Shifts ``[n, steps, 2]`` right or left, and down or up, whichever leads to the middle of the frame."""
        lengths = self.decoded.shifts.norm(dim=-1)
        moving = lengths[lengths > _MOVES]
        if not len(moving):
            raise ValueError("the model sees no agent of the real clips move, so that nobody knows how far to ask for.")
        size = float(moving.median())
        masks = self.decoded.masks[:, 0, 0]
        h, w = masks.shape[-2:]
        weight = masks.sum(dim=(1, 2)).clamp(min=1e-6)
        x = (masks.sum(dim=1) * torch.arange(w)).sum(dim=1) / weight
        y = (masks.sum(dim=2) * torch.arange(h)).sum(dim=1) / weight
        signs = torch.stack([torch.where(x < w / 2, 1.0, -1.0), torch.where(y < h / 2, 1.0, -1.0)], dim=1) * size
        across, along = signs * torch.tensor([1.0, 0.0]), signs * torch.tensor([0.0, 1.0])
        return across[:, None].repeat(1, self.steps, 1), along[:, None].repeat(1, self.steps, 1)


class ShiftControl(_Steering):
    """Asks for shifts towards the middle of the frame, across and up or down, by as much as agents move in real clips.

    Arguments: see :class:`_Steering`. Two at once are a shift of the agent and one of the background.
    """

    def wishes(self) -> Wishes[Steps]:
        across, along = self._directions()
        late = self.steps // 2
        begins = (torch.arange(self.steps) >= late).float()[:, None]
        both = self._steps("shifts", "pans", shifts=across, pans=along)
        first = self._steps("shifts", shifts=across)
        return Wishes(
            first,
            self._steps("shifts", shifts=along),
            self._steps(),
            (both, first, self._steps("pans", pans=along)),
            [
                (self._steps("shifts", shifts=across * (1 - begins)), 0.0),
                (self._steps("shifts", shifts=across * begins), late / self.steps),
            ],
        )

    def progress(self, sample: Played, nothing: Played, request: Steps) -> Tensor:
        asked = request.shifts.mean(dim=1)
        done = (sample.found.shifts - nothing.found.shifts).mean(dim=1)
        return (done * asked).sum(dim=1) / asked.square().sum(dim=1)

    def onset(self, sample: Played, request: Steps) -> Tensor:
        asked = request.shifts.sum(dim=1)
        way = asked / asked.norm(dim=1, keepdim=True).clamp(min=1e-6)
        size = request.shifts.norm(dim=-1).amax(dim=1, keepdim=True)
        moves = (sample.found.shifts * way[:, None]).sum(dim=-1) > size / 2
        return first_step(moves)

    def ceiling(self) -> Row:
        """What the judge reads of real clips whose shifts are known."""
        clips, found = self.clips, self.decoded
        answers = {key: Answer(absent="no real clip shows what was asked of the model.") for key in _UNSEEN}
        if clips.shifts is None:
            answers["action_swap"] = Answer(absent="these data do not say how the agent moves.")
        else:
            asked, read = clips.shifts.flatten(0, 1), found.shifts.flatten(0, 1)
            right = near(read, asked)[asked.norm(dim=-1) > _MOVES]
            half = len(right) // 2
            answers["action_swap"] = Answer(share_of(right[: 2 * half].view(2, half).all(dim=0)))
        what = "Real clips whose shifts are known; two steps of theirs stand for a pair."
        return row_of("real, shifts (floor)", "floor", what, answers)


class ActionControl(_Steering):
    """Asks for local actions of an agent that stays where it is; two at once are an action and a shift.

    Arguments: see :class:`_Steering`.
    """

    @property
    def not_applicable(self) -> Mapping[str, str]:
        if self.model.local_actions < 2:
            return dict.fromkeys(_ALL, "the model knows one local action only.")
        unasked = "some local action is always asked for."
        return {**super().not_applicable, "effect_over_nothing": unasked}

    def wishes(self) -> Wishes[Steps]:
        n, codes = len(self.clips), self.model.local_actions
        generator = torch.Generator().manual_seed(self.seed)
        one = torch.randint(codes, (n,), generator=generator)
        if codes < 2:
            return Wishes(self._steps("actions"))
        other = (one + torch.randint(1, codes, (n,), generator=generator)) % codes
        late = self.steps // 2
        before = torch.arange(self.steps) < late
        every = torch.ones(1, self.steps, dtype=torch.long)
        first = self._steps("actions", actions=one[:, None] * every)
        second = self._steps("actions", actions=other[:, None] * every)
        switched = self._steps("actions", actions=torch.where(before, first.actions, second.actions))
        # towards the middle, as shifts are asked for
        try:
            across, _ = self._directions()
        except ValueError:
            return Wishes(first, second, second, None, [(second, 0.0), (switched, late / self.steps)])
        both = replace(first, shifts=across, wanted=("actions", "shifts"))
        together = (both, first, self._steps("shifts", shifts=across))
        # another action stands for none: what an agent does in its place is what it draws of itself
        return Wishes(first, second, second, together, [(second, 0.0), (switched, late / self.steps)])

    def progress(self, sample: Played, nothing: Played, request: Steps) -> Tensor:
        raise ValueError("some local action is always asked for.")

    def onset(self, sample: Played, request: Steps) -> Tensor:
        return first_step(sample.found.actions == request.actions[:, -1:])


#: all questions, and those that real clips cannot answer
_UNSEEN = ("effect_over_noise", "effect_over_nothing", "locality", "composition", "timing")
_ALL = ("action_swap", *_UNSEEN)


def near(found: Tensor, asked: Tensor) -> Tensor:
    """``[..., 2]`` twice -> bool: within 45 degrees, and at least half a step of what moves."""
    lengths = found.norm(dim=-1) * asked.norm(dim=-1)
    cosine = (found * asked).sum(dim=-1) / lengths.clamp(min=1e-12)
    return (cosine > _NEAR) & (found.norm(dim=-1) > _MOVES / 2)


def first_step(happens: Tensor) -> Tensor:
    """``[n, steps]`` bool -> the first step that happens as a share of all; infinity where none does."""
    first = happens.float().argmax(dim=1) / happens.shape[1]
    return torch.where(happens.any(dim=1), first, torch.inf)


def video_control(task: EvaluationTask, clips: VideoBatch) -> tuple[Table, dict[str, Any]]:
    """The table of controllability, and what the protocol says of it.

    Args:
        task: of models that can be steered.
        clips: held out.
    """
    settings = task.settings

    def runs(of: type[_Steering]) -> list[tuple[_Steering, int]]:
        models = [steerable(one.module).to(task.device) for one in task.models]
        return [(of(model, clips, settings.controllability, seed=settings.seed), settings.seed) for model in models]

    shifts = runs(ShiftControl)
    lines = [
        Line("shifts", "model", "The model, asked for shifts of the agent.", shifts),
        Line("local actions", "model", "The model, asked for local actions in place.", runs(ActionControl)),
    ]
    ceiling = shifts[0][0]
    assert isinstance(ceiling, ShiftControl)
    return controllability(task, lines, [ceiling.ceiling()])
