"""Does a model do what is asked? Models that obey, ignore, change everything, or are late, in every kind of data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from mutoscope.evaluators.trained import Trained
from mutoscope.kinds.action_graph.controllability import GraphControl, inside_boxes
from mutoscope.kinds.controllability import Answer, Asking, Controllable, Wishes, in_region, row_of, share_of, visible
from mutoscope.kinds.motion.controllability import MotionControl, Sampler, clips_as_answers
from mutoscope.kinds.video.controllability import ActionControl, ShiftControl
from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.models.steerable import Decoded
from mutoscope.structures import (
    CATER_VOCABULARY,
    ActionGraphBatch,
    ActionGraphSample,
    ClockedGraph,
    DatasetInfo,
    MotionBatch,
    VideoBatch,
)

LAMPS, FRAMES, CASES = 6, 12, 10


@dataclass(frozen=True)
class Wish:
    """Lamps ``[n, LAMPS]`` that are to be lit from a frame on."""

    lamps: Tensor
    begin: int = 0


class Lamps(Controllable[Wish, Tensor]):
    """A row of lamps; the judge takes the brightest one, or two, for what was asked."""

    judge, judge_hash = "eyes", None
    not_applicable: dict[str, str] = {}  # noqa: RUF012
    chance: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, model: Callable[[Wish, Tensor], Tensor]) -> None:
        self.model = model

    def wishes(self) -> Wishes[Wish]:
        number = torch.arange(CASES)
        one, other = (torch.eye(LAMPS)[(number + k) % LAMPS] for k in (0, 2))
        first, second = Wish(one), Wish(other)
        timed = [(Wish(one), 0.0), (Wish(one, FRAMES // 2), 0.5)]
        return Wishes(first, second, Wish(0 * one), (Wish(one + other), first, second), timed)

    def sample(self, request: Wish, seed: int) -> Tensor:
        noise = torch.rand(CASES, 1, LAMPS, generator=torch.Generator().manual_seed(seed)).expand(-1, FRAMES, -1)
        return self.model(request, noise)

    def shows(self, sample: Tensor, request: Wish) -> Tensor:
        lit = request.lamps.sum(dim=1).int()
        order = sample.sum(dim=1).argsort(dim=1, descending=True).argsort(dim=1)
        return ((order < lit[:, None]) == request.lamps.bool()).all(dim=1)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        return (one - other).abs().sum(dim=(1, 2))

    def progress(self, sample: Tensor, nothing: Tensor, request: Wish) -> Tensor:
        return ((sample - nothing).mean(dim=1) * request.lamps).sum(dim=1)

    def change(self, sample: Tensor, nothing: Tensor | None, request: Wish) -> tuple[Tensor, Tensor, Tensor]:
        assert nothing is not None
        return in_region((sample - nothing).abs(), request.lamps[:, None].expand_as(sample))

    def onset(self, sample: Tensor, request: Wish) -> Tensor:
        lit = (sample * request.lamps[:, None]).sum(dim=2) > 0.5
        return torch.where(lit.any(dim=1), lit.float().argmax(dim=1) / FRAMES, torch.inf)


def light(request: Wish, noise: Tensor, late: int = 0) -> Tensor:
    begun = torch.arange(FRAMES) >= request.begin + late
    return request.lamps[:, None] * begun[:, None] + 0.01 * noise


def values(asked: Controllable[Any, Any], seed: int = 0) -> dict[str, float | None]:
    return {name: answer.value for name, answer in Asking(asked, seed, strict=True).answers().items()}


def test_a_model_that_obeys_reaches_the_ceiling() -> None:
    found = Asking(Lamps(light), 0).answers()
    assert {name: a.value for name, a in found.items() if name != "effect_over_noise"} == {
        "action_swap": 1,
        "effect_over_nothing": pytest.approx(1),
        "locality": pytest.approx(1),
        "composition": 1,
        "timing": 1,
    }
    assert (found["effect_over_noise"].value or 0) > 10
    assert found["locality"].chance == pytest.approx(1 / LAMPS)


def test_a_model_that_ignores_its_action_gets_what_chance_gives() -> None:
    # what is lit depends on the noise alone
    found = Asking(Lamps(lambda request, noise: (noise == noise.amax(dim=2, keepdim=True)).float()), 0).answers()
    for name in ("action_swap", "effect_over_noise", "effect_over_nothing"):
        assert found[name].value == found[name].chance == 0
    assert (found["timing"].value or 0) <= 0.5
    assert found["composition"].value in (None, 0)
    assert found["locality"].absent == "nothing changes."


def test_a_model_that_changes_everything_is_not_local_though_it_obeys() -> None:
    def everything(request: Wish, noise: Tensor) -> Tensor:
        told = request.lamps.any(dim=1)[:, None, None]
        return light(request, noise) + 0.9 * told

    found = Asking(Lamps(everything), 0).answers()
    assert found["action_swap"].value == 1
    assert found["locality"].value == pytest.approx(1.9 / (1.9 + 0.9 * (LAMPS - 1)))


@pytest.mark.parametrize(("late", "expected"), [(0, 1.0), (2, 1.0), (4, 0.0)])
def test_a_model_that_is_late_does_not_keep_time(late: int, expected: float) -> None:
    assert values(Lamps(lambda request, noise: light(request, noise, late)))["timing"] == expected


def test_questions_that_cannot_be_asked_have_their_reasons() -> None:
    class Dumb(Lamps):
        not_applicable = {"timing": "lamps have no clock."}  # noqa: RUF012

        def wishes(self) -> Wishes[Wish]:
            return replace(super().wishes(), nothing=None, together=None)

    found = Asking(Dumb(lambda request, noise: request.lamps[:, None].expand(-1, FRAMES, -1)), 0).answers()
    assert found["timing"].absent == "not applicable: lamps have no clock."
    assert found["effect_over_noise"].absent == "not applicable: the model draws nothing at random."
    assert found["effect_over_nothing"].absent == "the model cannot be asked for no action."
    assert found["composition"].absent == "no start allows two actions at once."
    row = row_of("model", "model", "Dumb.", found)
    assert row.values["timing"] is None
    assert row.absent["timing"] == found["timing"].absent
    low, high = row.intervals["action_swap"]
    assert low < high == pytest.approx(1)
    # all cases alike: a share is still unsure, an amount is not known to be
    obeyed = row_of("model", "model", "Obeys.", Asking(Lamps(light), 0).answers())
    assert obeyed.intervals["effect_over_nothing"] == pytest.approx((1, 1), abs=1e-3)
    assert obeyed.intervals["timing"][0] < 0.9


def test_a_question_that_fails_leaves_the_others() -> None:
    class Broken(Lamps):
        def onset(self, sample: Tensor, request: Wish) -> Tensor:
            raise RuntimeError("no clock")

    assert "no clock" in Asking(Broken(light), 0).answers()["timing"].absent
    with pytest.raises(RuntimeError, match="no clock"):
        values(Broken(light))

    class Mute(Lamps):
        def wishes(self) -> Wishes[Wish]:
            raise ValueError("nothing to ask.")

    assert {answer.absent for answer in Asking(Mute(light), 0).answers().values()} == {"nothing to ask."}


def test_what_two_questions_need_is_made_once() -> None:
    made = []

    class Counted(Lamps):
        def sample(self, request: Wish, seed: int) -> Tensor:
            made.append((request, seed))
            return super().sample(request, seed)

    asking, ticks = Asking(Counted(light), 3), list[int]()
    asking.answers(lambda: ticks.append(1))
    assert len(made) == len(ticks) == asking.work == 7
    assert {seed for _, seed in made} == {3, 4}


def test_ratios_are_of_sums_and_shares_count_what_counts() -> None:
    assert Answer(torch.tensor([[1.0, 4.0], [1.0, 1.0]])).value == pytest.approx(0.4)
    assert share_of(torch.tensor([True, True, False]), torch.tensor([True, False, True])).sum(dim=0).tolist() == [1, 2]
    assert Answer().value is None


# -- motion ------------------------------------------------------------------------------------------------------------


class JointJudge(nn.Module):
    """Class ``k`` is what joint ``k`` moves for."""

    classes = num_features = LAMPS

    def features(self, joints: Tensor) -> Tensor:
        return joints.diff(dim=1).norm(dim=-1).mean(dim=1)

    def forward(self, joints: Tensor) -> Tensor:
        return self.features(joints)


def waving(weights: Tensor, seed: int, tremble: float = 0.0) -> Tensor:
    """Joint ``k`` goes to and fro as its weight says, more or less quickly by the seed."""
    generator = torch.Generator().manual_seed(seed)
    pace = 1 + 0.2 * torch.rand(len(weights), 1, generator=generator)
    path = torch.sin(torch.arange(FRAMES) * pace)[:, :, None] * weights[:, None]
    shaken = tremble * torch.randn(*path.shape, generator=generator)
    return torch.stack([path + shaken, 0 * path, 0 * path], dim=-1)


def motions(sampler: Sampler, **settings: Any) -> MotionControl:
    label = torch.arange(LAMPS).repeat(8)
    training = MotionBatch(waving(torch.eye(LAMPS)[label], 9), label, torch.ones(len(label), FRAMES, dtype=torch.bool))
    judge = Trained(JointJudge(), "", 1.0, "judge")
    return MotionControl(sampler, cast(Any, judge), training, CASES, classes=LAMPS, **settings)


def weights_of(wanted: Tensor) -> Tensor:
    return torch.eye(LAMPS)[wanted] if wanted.ndim == 1 else wanted


def test_motion_that_obeys_is_told_from_motion_that_does_not() -> None:
    obeys = values(motions(lambda wanted, seed: waving(weights_of(wanted), seed)))
    assert (obeys["action_swap"], obeys["composition"], obeys["locality"]) == (1, 1, pytest.approx(1))
    assert (obeys["effect_over_noise"] or 0) > 2
    assert obeys["timing"] is obeys["effect_over_nothing"] is None
    ignores = values(motions(lambda wanted, seed: waving(torch.eye(LAMPS)[torch.arange(CASES) % LAMPS], seed)))
    assert (ignores["action_swap"], ignores["effect_over_noise"]) == (0, 0)
    assert (ignores["locality"] or 0) < 0.5
    trembles = values(motions(lambda wanted, seed: waving(weights_of(wanted), seed, tremble=0.3)))
    assert trembles["action_swap"] == 1
    assert (trembles["locality"] or 0) < 0.8


def test_motion_of_single_classes_cannot_be_composed_and_real_clips_answer() -> None:
    label = torch.arange(LAMPS).repeat(4)
    clips = MotionBatch(waving(torch.eye(LAMPS)[label], 5), label, torch.ones(len(label), FRAMES, dtype=torch.bool))
    real = motions(clips_as_answers(clips), mixtures="one class at a time.")
    found = Asking(real, 0).answers()
    assert found["composition"].absent == "not applicable: one class at a time."
    assert found["action_swap"].value == 1
    answers = clips_as_answers(clips)
    # all four clips of a class in turn, then again; other ones for the next seed
    (first, second) = (answers(torch.tensor([2, 0, 2, 2, 2, 2]), seed) for seed in (0, 1))
    assert len(first[[0, 2, 3, 4]].unique(dim=0)) == 4
    assert torch.equal(first[0], first[5])
    assert not (first == second).flatten(1).all(dim=1).any()
    with pytest.raises(TooFewSamplesError, match="no held-out clip shows class 6"):
        answers(torch.tensor([6]), 0)
    assert real.not_applicable.keys() >= {"timing", "effect_over_nothing", "composition"}
    alone = MotionControl(clips_as_answers(clips), None, clips, CASES, classes=LAMPS)
    assert "recogniser" in Asking(alone, 0).answers()["action_swap"].absent
    assert values(alone)["locality"] == pytest.approx(1)


# -- action graphs -----------------------------------------------------------------------------------------------------

SLIDE, PLACE = (CATER_VOCABULARY.action(name) for name in ("slide", "pick_place"))
NO_OP = CATER_VOCABULARY.action("no_op")
LENGTH, SIZE = 12, 40


class CurveJudge(nn.Module):
    """What goes up on its way is picked and placed, what goes straight slides, all else does nothing."""

    def judged(self, graph: ClockedGraph) -> Tensor:
        return torch.ones(graph.num_actions, dtype=torch.bool)

    def forward(self, graph: ClockedGraph, boxes: Tensor) -> Tensor:
        track = boxes[graph.subject, :, :2]
        line = torch.lerp(track[:, :1], track[:, -1:], torch.linspace(0, 1, track.shape[1])[None, :, None])
        lifted = (line - track)[..., 1].amax(dim=1) > 0.1
        moved = (track - track[:, :1]).norm(dim=-1).amax(dim=1) > 0.05
        found = torch.where(lifted, PLACE, torch.where(moved, SLIDE, NO_OP))
        return torch.eye(len(CATER_VOCABULARY.actions))[found]


def laid_out(batch: ActionGraphBatch, late: float = 0.0) -> Tensor:
    """Boxes that do what a graph asks for, at its clock."""
    graph, boxes = batch.graph, batch.boxes[:, :1].repeat(1, LENGTH, 1)
    start, end = graph.progress.unbind(dim=1)
    time = torch.arange(LENGTH) / LENGTH - late
    share = (time[:, None] * (end - start) + start).clamp(0, 1)
    for edge in range(graph.num_actions):
        node, done = int(graph.subject[edge]), share[:, edge, None]
        begin = boxes[node, :1, :2]
        boxes[node, :, :2] = begin + done * (graph.destination[edge] - begin)
        if graph.action[edge] == PLACE:
            boxes[node, :, 1:2] -= 0.8 * done * (1 - done)
    return boxes


def drawn(batch: ActionGraphBatch, boxes: Tensor, behind: int = 0) -> Tensor:
    things = batch.graph.real
    inside = inside_boxes(boxes[things], batch.graph.clip[things], len(batch), (SIZE, SIZE))
    frames = torch.where(inside, 255, behind).to(torch.uint8)
    return frames[:, :, None].expand(-1, -1, 3, -1, -1).contiguous()


@pytest.fixture(scope="module")
def blocks() -> ActionGraphBatch:
    """Eight clips of two things, one of which slides while the other is picked and placed."""
    count = 8
    things = torch.tensor([[1, 1, 1, 1], [2, 2, 1, 1], [0, 0, 0, 0]])
    node = 3 * torch.arange(count)
    graph = ClockedGraph(
        attributes=things.repeat(count, 1),
        clip=torch.arange(count).repeat_interleave(3),
        relations=torch.zeros(0, 3, dtype=torch.long),
        subject=torch.stack([node, node + 1], dim=1).flatten(),
        action=torch.tensor([SLIDE, PLACE]).repeat(count),
        object=torch.stack([node, node + 1], dim=1).flatten(),
        progress=torch.tensor([[0.0, 1.1], [-0.5, 2.5]]).repeat(count, 1),
        destination=torch.tensor([[0.7, 0.35], [0.1, 0.8]]).repeat(count, 1),
        num_clips=count,
    )
    first = torch.tensor([[0.1, 0.35, 0.15, 0.15], [0.7, 0.7, 0.15, 0.15], [0.0, 0.0, 1.0, 1.0]]).repeat(count, 1)
    batch = ActionGraphBatch(graph, first[:, None].repeat(1, LENGTH, 1), None, tuple(map(str, range(count))))
    boxes = laid_out(batch)
    return replace(batch, boxes=boxes, frames=drawn(batch, boxes))


def graphs(
    blocks: ActionGraphBatch, boxes_of: Callable[[ActionGraphBatch], Tensor], background: bool = False
) -> GraphControl:
    info = DatasetInfo(
        name="blocks",
        kind="action_graph",
        classes=CATER_VOCABULARY.action_names,
        channels=3,
        length=LENGTH,
        fps=12.0,
        vocabulary=CATER_VOCABULARY,
        frame_size=(SIZE, SIZE),
    )

    def sample(batch: ActionGraphBatch, seed: int) -> ActionGraphSample:
        boxes = boxes_of(batch)
        behind = 90 if background and batch.graph.num_actions else 0
        return ActionGraphSample(fake=drawn(batch, boxes, behind), info=info, asked=batch, boxes=boxes)

    judge = Trained(CurveJudge(), "", 1.0, "judge")
    return GraphControl(sample, cast(Any, judge), blocks, info, CASES)


def test_graphs_that_are_obeyed_are_told_from_graphs_that_are_not(blocks: ActionGraphBatch) -> None:
    asked = graphs(blocks, laid_out)
    found = Asking(asked, 0, strict=True).answers()
    obeys = {name: answer.value for name, answer in found.items()}
    assert obeys == {
        "action_swap": 1,
        "effect_over_noise": None,
        "effect_over_nothing": pytest.approx(1, abs=0.1),
        "locality": pytest.approx(1),
        "composition": 1,
        "timing": 1,
    }
    assert "at random" in found["effect_over_noise"].absent
    assert len(found["action_swap"].parts) == len(blocks)
    still = values(graphs(blocks, lambda batch: batch.boxes[:, :1].expand(-1, LENGTH, -1).contiguous()))
    assert (still["action_swap"], still["effect_over_nothing"], still["timing"]) == (0, 0, 0)
    everywhere = Asking(graphs(blocks, laid_out, background=True), 0).answers()["locality"]
    assert (everywhere.value or 1) < 0.4
    assert values(graphs(blocks, lambda batch: laid_out(batch, late=0.4)))["timing"] == 0
    ceiling = asked.ceiling().values
    assert (ceiling["action_swap"], ceiling["locality"]) == (1, pytest.approx(1))


def test_where_no_other_action_can_be_asked_the_other_questions_are(blocks: ActionGraphBatch) -> None:
    """What contains takes another object, and no other action of these clips does."""
    graph = blocks.graph
    contain = torch.full_like(graph.action, CATER_VOCABULARY.action("contain"))
    other = torch.where(graph.subject % 3 == 0, graph.subject + 1, graph.subject - 1)
    asked = graphs(replace(blocks, graph=replace(graph, action=contain, object=other)), laid_out)
    found = Asking(asked, 0).answers()
    assert found["action_swap"].absent == "no second action can be asked for from the same start."
    assert (found["timing"].value, found["locality"].value) == (1, pytest.approx(1))
    # of actions with a destination another one is known, though no clip shows it
    sliding = replace(blocks, graph=replace(graph, action=torch.full_like(graph.action, SLIDE)))
    assert values(graphs(sliding, laid_out))["action_swap"] == 1
    still = replace(blocks, boxes=blocks.boxes[:, :1].repeat(1, LENGTH, 1))
    absent = {answer.absent for answer in Asking(graphs(still, laid_out), 0).answers().values()}
    assert absent == {"no clip asks for an action that moves something."}


def test_changes_that_nobody_sees_are_none() -> None:
    frames = torch.full((1, 2, 3, 4, 4), 100, dtype=torch.uint8)
    other = frames.clone()
    other[0, 0] += 3
    other[0, 1, :, 0, 0] = 90
    assert visible(frames, other).sum(dim=(2, 3)).tolist() == [[0, 30]]


def test_boxes_are_filled_to_the_pixel() -> None:
    boxes = torch.tensor([[[0.25, 0.5, 0.5, 0.25]], [[-0.5, 0.0, 0.75, 0.25]]])
    assert inside_boxes(boxes, torch.tensor([0, 0]), 1, (4, 4))[0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
    ]


# -- video that is steered ---------------------------------------------------------------------------------------------


class Squares:
    """A bright square before a dim wall; its local action is its colour, the wall's way is told in a corner."""

    local_actions, device = 3, torch.device("cpu")
    averaged = nn.Linear(1, 1)

    def __init__(self, late: int = 0, obeys: bool = True, flashes: bool = False) -> None:
        self.late, self.obeys, self.flashes = late, obeys, flashes

    def draw(self, places: Tensor, actions: Tensor, walls: Tensor) -> Tensor:
        n, t, _ = places.shape
        x, y = torch.arange(48), torch.arange(32)
        across = (x - places[..., :1]).abs() < 4
        down = (y - places[..., 1:]).abs() < 4
        inside = down[..., :, None] & across[..., None, :]
        frames = torch.full((n, t, 3, 32, 48), 20, dtype=torch.uint8)
        frames[:, :, 0] = torch.where(inside, 250, 20).to(torch.uint8)
        frames[:, :, 1] = torch.where(inside, (80 * actions + 60)[..., None, None], 20).to(torch.uint8)
        frames[:, :, 2, 0, 0], frames[:, :, 2, 0, 1] = (100 + walls.unbind(dim=-1)[k].to(torch.uint8) for k in (0, 1))
        return frames

    def play(self, batch: VideoBatch, actions: Tensor, shifts: Tensor, pans: Tensor) -> SimpleNamespace:
        if not self.obeys:
            actions, shifts, pans = 0 * actions, 0 * shifts, 0 * pans
        delay = (torch.arange(shifts.shape[1]) - self.late).clamp(min=0)
        begun = (torch.arange(shifts.shape[1]) >= self.late)[:, None]
        told = shifts[:, delay] * begun
        start = self.decode(batch.frames).places[:, :1]
        places = torch.cat([start, start + told.cumsum(dim=1)], dim=1)
        walls = torch.cat([0 * start, pans.cumsum(dim=1)], dim=1)
        frames = self.draw(places, torch.cat([actions[:, :1], actions[:, delay]], dim=1), walls)
        if self.flashes and bool(shifts.any()):
            frames[:, 1:, 2, 4:] += 100
        return SimpleNamespace(fake=frames)

    def decode(self, frames: Tensor) -> Any:
        masks = (frames[:, :, :1] > 200).float()
        x, y = torch.arange(48.0), torch.arange(32.0)
        weight = masks.sum(dim=(2, 3, 4)).clamp(min=1)
        places = torch.stack([(masks * x).sum(dim=(2, 3, 4)), (masks * y[:, None]).sum(dim=(2, 3, 4))], dim=-1)
        places = places / weight[..., None]
        walls = frames[:, :, 2, 0, :2].float() - 100
        seen = (frames[:, 1:, 1].float() * masks[:, 1:, 0]).sum(dim=(2, 3)) / weight[:, 1:]
        actions = ((seen - 60) / 80).round().long().clamp(0, 2)
        shifts = places.diff(dim=1)
        decoded = Decoded(shifts, walls.diff(dim=1), actions, torch.eye(3)[actions], masks)
        object.__setattr__(decoded, "places", places)
        return decoded


@pytest.fixture(scope="module")
def clips() -> VideoBatch:
    begin = torch.tensor([[10.0, 10], [36, 10], [10, 22], [36, 22], [14, 12], [30, 20]])
    shifts = torch.tensor([3.0, 0.0]).expand(6, 6, 2)
    places = begin[:, None] + torch.cat([torch.zeros(6, 1, 2), 0.3 * shifts.cumsum(dim=1)], dim=1)
    real = Squares().draw(begin[:, None] + (places - begin[:, None]) * 4 / 3, torch.zeros(6, 7), torch.zeros(6, 7, 2))
    return VideoBatch(frames=real, names=tuple("abcdef"), shifts=0.4 * shifts)


def steered(clips: VideoBatch, model: Squares, of: type[ShiftControl] | type[ActionControl] = ShiftControl) -> Any:
    return of(cast(Any, model), clips, CASES)


def test_steering_that_is_obeyed_is_told_from_steering_that_is_not(clips: VideoBatch) -> None:
    obeys = values(steered(clips, Squares()))
    assert obeys == {
        "action_swap": 1,
        "effect_over_noise": None,
        "effect_over_nothing": pytest.approx(1, abs=0.2),
        "locality": pytest.approx(1),
        "composition": 1,
        "timing": 1,
    }
    ignores = values(steered(clips, Squares(obeys=False)))
    assert (ignores["action_swap"], ignores["effect_over_nothing"], ignores["timing"]) == (0, 0, 0)
    flashes = Asking(steered(clips, Squares(flashes=True)), 0).answers()["locality"]
    assert (flashes.value or 1) < 0.25
    assert values(steered(clips, Squares(late=3)))["timing"] == 0
    real = steered(clips, Squares()).ceiling()
    assert real.values["action_swap"] == 1
    assert "real clip" in real.absent["timing"]


def test_local_actions_are_asked_for_like_shifts(clips: VideoBatch) -> None:
    obeys = values(steered(clips, Squares(), ActionControl))
    assert (obeys["action_swap"], obeys["locality"], obeys["composition"], obeys["timing"]) == (1, 1, 1, 1)
    ignores = values(steered(clips, Squares(obeys=False), ActionControl))
    assert ignores["action_swap"] == 0
    model = Squares()
    model.local_actions = 1
    absent = {answer.absent for answer in Asking(steered(clips, model, ActionControl), 0).answers().values()}
    assert absent == {"not applicable: the model knows one local action only."}
