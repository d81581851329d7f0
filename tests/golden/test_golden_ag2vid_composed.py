"""Replay the recorded test-time graphs of AG2Vid: composed and single actions, early and late."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mutoscope.structures import (
    CATER_VOCABULARY,
    ActionGraph,
    ActionVocabulary,
    GraphObject,
    early_late,
    something_vocabulary,
)
from mutoscope.structures.recipes import MOVE, down_left, huddle, right_up, single, swap

CUPS = something_vocabulary(["cup", "hand"])
GOLD = {"shape": "cone", "color": "gold", "material": "metal", "size": "large"}
CUP = {"object": "cup"}
Maker = Callable[[list[GraphObject], Tensor], ActionGraph]
LENGTH = 16


def ends(rows: Tensor) -> tuple[str, str]:
    """Hand and object that the recorded rows of one clip speak of."""
    return str(int(rows[0, 0])), str(int(rows[0, 2]))


def move(name: str) -> Maker:
    return lambda objects, rows: single(objects, LENGTH, name, *ends(rows), clock=MOVE)


def both(recipe: Callable[..., ActionGraph]) -> Maker:
    def make(objects: list[GraphObject], rows: Tensor) -> ActionGraph:
        hand, target = ends(rows)
        return recipe(objects, LENGTH, target, hand=hand, needs_room=False)

    return make


MAKERS: dict[str, tuple[ActionVocabulary, Maker]] = {
    "huddle": (CATER_VOCABULARY, lambda objects, _: huddle(objects, LENGTH)),
    "huddle_early": (CATER_VOCABULARY, lambda objects, _: huddle(objects, LENGTH, timing="early")),
    "huddle_late": (CATER_VOCABULARY, lambda objects, _: huddle(objects, LENGTH, timing="late")),
    "right_up": (CUPS, both(right_up)),
    "down_left": (CUPS, both(down_left)),
    **{name: (CUPS, move(name)) for name in ("up", "down", "left", "right")},
}


def rows_of(graph: ActionGraph, vocabulary: ActionVocabulary) -> Tensor:
    """``[a, 7]``: subject, action, object, progress at start and end, destination."""
    clocked = graph.clocked(vocabulary)
    ids = torch.stack([clocked.subject, clocked.action, clocked.object], dim=1)
    return torch.cat([ids.float(), clocked.progress, clocked.destination], dim=1)


def things(boxes: Tensor, vocabulary: ActionVocabulary) -> list[GraphObject]:
    """The objects of one clip, called by their numbers; its last node is the image."""
    attributes = GOLD if vocabulary.image_node else CUP
    return [GraphObject(str(i), attributes, tuple(box)) for i, box in enumerate(boxes[0, :-1].tolist())]


def test_golden_ag2vid_composed_actions(golden_dir: Path) -> None:
    files = sorted((golden_dir / "ag2vid").glob("composed_actions*.safetensors"))
    if not files:
        pytest.skip(f"There are no composed actions in {golden_dir / 'ag2vid'}.")
    for path in files:
        tensors = load_file(path)
        boxes = tensors["in/boxes_first"]
        recorded = {key[4:]: value for key, value in tensors.items() if key.startswith("out/")}
        first, second = map(str, recorded.pop("swap_pair").tolist())
        makers = MAKERS | {"swap": (CATER_VOCABULARY, lambda o, _, a=first, b=second: swap(o, LENGTH, a, b))}
        for name, clips in recorded.items():
            vocabulary, make = makers[name]
            for clip, expected in enumerate(clips):
                found = rows_of(make(things(boxes[clip], vocabulary), expected), vocabulary)
                torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("timing", "clock"), [(0, [0.0, 3.0]), (1, [-2.0, 1.0])])
def test_ag2vid_early_and_late_clocks_of_the_paper(timing: int, clock: list[float]) -> None:
    objects = [GraphObject("a", GOLD, (0.1, 0.2, 0.2, 0.2)), GraphObject("b", GOLD, (0.6, 0.5, 0.2, 0.2))]
    graph = early_late(swap(objects, LENGTH, "a", "b"))[timing]
    torch.testing.assert_close(graph.clocked(CATER_VOCABULARY).progress, torch.tensor([clock, clock]))
