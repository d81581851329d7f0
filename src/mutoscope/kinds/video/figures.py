"""Figures of what a model that can be steered may be told (figures 6 to 8 of GLASS's paper)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mutoscope.formats.video import write_gif, write_mp4
from mutoscope.kinds.video.steps import Steps
from mutoscope.models.steerable import SteerableVideo, SteeringSession
from mutoscope.render.canvas import Frames, grid
from mutoscope.render.people import for_people, frames_of
from mutoscope.render.sheet import save_png
from mutoscope.render.steps import under_steps
from mutoscope.structures import VideoBatch, VideoSample

#: the shifts of the grid in half extents of a frame, right and down: about as far as training clips go in a step
_WAYS = {"right": (0.07, 0.0), "left": (-0.07, 0.0), "down": (0.0, 0.1), "up": (0.0, -0.1), "no motion": (0.0, 0.0)}
#: of a jump, in half extents down: up fast, slower, and down again
_JUMP = (-0.12, -0.1, -0.06, -0.02, 0.02, 0.06, 0.1, 0.12)


@dataclass(frozen=True)
class Figure:
    """A picture for paper, and the same as a video where something moves.

    Args:
        picture: ``[h, w, 3]`` uint8.
        video: ``[t, h, w, 3]`` uint8.
    """

    picture: Frames
    video: Frames | None = None


def save_figures(folder: Path, figures: Mapping[str, Figure], fps: float, *, gif: bool = False) -> list[Path]:
    """``<figure>.png``, and ``<figure>.mp4`` where something moves."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(save_png(folder / f"{name}.png", figure.picture))
        if figure.video is not None:
            paths.append(write_mp4(folder / f"{name}.mp4", figure.video, fps))
            if gif:
                paths.append(write_gif(folder / f"{name}.gif", figure.video, fps))
    return paths


def shift_grid(model: SteerableVideo, images: VideoBatch, steps: int) -> Figure:
    """The agent of every picture (green) and where five shifts take it (red), figure 7; a row a picture."""
    height, width = model.info.need_frame_size()
    half = torch.tensor([width / 2, height / 2])
    session = model.start(images.frames[:, 0])
    before, columns = session.agent.cpu(), []
    for way in _WAYS.values():
        told = _same(torch.tensor(way) * half, 0, steps)
        session = model.start(images.frames[:, 0])
        seen = [_overlaid(before, before)]
        for step in range(steps):
            _advance(session, told, step, len(images))
            seen.append(_overlaid(before, session.agent.cpu()))
        columns.append(torch.stack(seen, dim=1))
    cells = [frames_of(column[row]) for row in range(len(images)) for column in columns]
    titles = [name if row == 0 else "" for row in range(len(images)) for name in _WAYS]
    video = grid([for_people(cell) for cell in cells], titles, columns=len(_WAYS))
    # the first step alone: later ones may leave the frame
    return Figure(video[1], video)


def action_gallery(model: SteerableVideo, images: VideoBatch, steps: int) -> Figure:
    """Every local action again and again from every picture, without a shift; a row a picture, a column an action.

    In the picture, time goes to the right for the first picture, and every action has a row.
    """
    columns = []
    for action in range(model.local_actions):
        columns.append(_played(model, images, _same(torch.zeros(2), action, steps)).fake)
    cells = [frames_of(column[row]) for row in range(len(images)) for column in columns]
    titles = [f"action {a}" if row == 0 else "" for row in range(len(images)) for a in range(len(columns))]
    video = grid([for_people(cell) for cell in cells], titles, columns=len(columns))
    strips = [frames_of(column[0])[t][None] for column in columns for t in range(steps + 1)]
    names = [f"action {a}" if t == 0 else f"+{t}" for a in range(len(columns)) for t in range(steps + 1)]
    return Figure(grid([for_people(one) for one in strips], names, columns=steps + 1)[0], video)


def composed_steps(model: SteerableVideo) -> dict[str, Steps]:
    """Motion that nobody showed the model: a jump, and a round with another local action on every side (figure 6)."""
    height, width = model.info.need_frame_size()
    half, codes = torch.tensor([width / 2, height / 2]), model.local_actions
    jump = torch.tensor([[0.0, down] for down in _JUMP]) * half
    sides = torch.tensor([_WAYS[way] for way in ("right", "up", "left", "down")]) * half
    around = sides.repeat_interleave(3, dim=0)
    turns = (torch.arange(4) % codes).repeat_interleave(3)
    return {
        "jump": Steps(jump, torch.zeros(len(jump), dtype=torch.long), torch.zeros_like(jump)),
        "round": Steps(around, turns, torch.zeros_like(around)),
    }


def composed(model: SteerableVideo, images: VideoBatch) -> tuple[dict[str, Figure], VideoSample]:
    """Those steps from every picture, with the steps below, and the last clips."""
    found = {}
    for name, steps in composed_steps(model).items():
        sample = _played(model, images, steps)
        told = steps.shifts.numpy(), steps.actions.numpy()
        clips = [under_steps(for_people(frames_of(clip)), *told) for clip in sample.fake]
        video = grid(clips, list(images.names), columns=min(len(clips), 3))
        strip = frames_of(sample.fake[0])
        found[name] = Figure(grid([for_people(one[None]) for one in strip], columns=min(len(strip), 7))[0], video)
    return found, sample


def layers(model: SteerableVideo, images: VideoBatch) -> Figure:
    """Picture, mask, agent, what lies behind it (figure 8); a row a picture."""
    pictures = images.frames[:, 0]
    found = model.layers(pictures)
    masks = (found.masks * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
    names = ("picture", "mask", "agent", "behind it")
    columns = [pictures, masks.cpu(), found.agents.cpu(), found.backgrounds.cpu()]
    cells = [frames_of(column[row : row + 1]) for row in range(len(pictures)) for column in columns]
    titles = [name if row == 0 else "" for row in range(len(pictures)) for name in names]
    return Figure(grid([for_people(cell) for cell in cells], titles, columns=len(names))[0])


def overview(model: SteerableVideo, clips: VideoBatch, frames: int = 6) -> Figure | None:
    """What the model sees in the first clip and makes of it, time to the right; ``None`` where it does not tell."""
    parts = model.overview(clips.select([0]).first(frames))
    if not parts:
        return None
    count = max(part.shape[1] for part in parts.values())
    cells, titles = [], []
    for name, part in parts.items():
        shown = frames_of(part[0])
        # what is made of two frames stands below the later one
        blank = np.full_like(shown[:1], 255)
        row = [*[blank] * (count - len(shown)), *(one[None] for one in shown)]
        cells += row
        titles += [name if number == count - len(shown) else "" for number in range(count)]
    return Figure(grid([for_people(cell) for cell in cells], titles, columns=count)[0])


def _same(shift: Tensor, action: int, steps: int) -> Steps:
    still = torch.zeros(steps, 2)
    return Steps(shift.expand(steps, 2), torch.full((steps,), action), still)


def _played(model: SteerableVideo, images: VideoBatch, steps: Steps) -> VideoSample:
    n, device = len(images), model.device
    told = (x[None].expand(n, *x.shape).to(device) for x in (steps.actions, steps.shifts, steps.pans))
    return model.play(images, *told)


def _advance(session: SteeringSession, told: Steps, step: int, n: int) -> None:
    device = session.frame.device
    actions, shifts, pans = (x[step].expand(n, *x.shape[1:]).to(device) for x in (told.actions, told.shifts, told.pans))
    session.advance(actions, shifts, pans)


def _overlaid(before: Tensor, after: Tensor) -> Tensor:
    """Two pictures ``[n, 3, h, w]`` by their brightness, one in green and one in red."""
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    green, red = ((x.float() * weights).sum(1).round().to(torch.uint8) for x in (before, after))
    return torch.stack([red, green, torch.zeros_like(red)], dim=1)
