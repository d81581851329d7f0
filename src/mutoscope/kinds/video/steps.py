"""Steps by which an agent is steered, as people write them and as files hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from mutoscope.formats.plain_files import PlainFileError, parse_yaml, shown
from mutoscope.formats.sources import is_number
from mutoscope.formats.text import TextError, read_text
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing

STEP = "steps are [pixels right, pixels down, local action], with [.., camera right, camera down] after them"
#: of a step that a file tells by name, as decoding writes it; the last two may be left out
_NAMES = ("shift", "action", "camera", "confidence")


@dataclass(frozen=True)
class Steps:
    """What is asked of an agent, or found of it, in ``t`` steps.

    Args:
        shifts: ``[t, 2]`` pixels, right and down.
        actions: ``[t]`` int64 local actions.
        pans: ``[t, 2]`` pixels by which the background goes, right and down.
        confidence: ``[t]`` of the actions, where they were found.
    """

    shifts: Tensor
    actions: Tensor
    pans: Tensor
    confidence: Tensor | None = None

    def __len__(self) -> int:
        return len(self.actions)

    @classmethod
    def read(cls, asked: str | Path | Sequence[Any], codes: int, frame_size: tuple[int, int] | None = None) -> Self:
        """Steps that somebody typed, or wrote into a file.

        Args:
            asked: a list of steps, or a YAML file with one, alone or under ``actions``; a step is a list of three or
                five numbers, or names them: ``{shift: [8, 0], action: 2, camera: [0, 0], confidence: 0.9}``.
            codes: how many local actions the model has.
            frame_size: (height, width) of its frames, beyond which no step goes; any by default.

        Raises:
            ConfigError: for anything else, naming the step and the file.
            FileNotFoundError: if there is no such file.
        """
        listed: Any = asked
        where = str(asked) if isinstance(asked, str | Path) else "actions"
        if isinstance(asked, str | Path):
            try:
                listed = parse_yaml(read_text(Path(asked)), str(asked))
            except (PlainFileError, TextError) as error:
                raise ConfigError(f"actions: {error}") from error
            listed = listed.get("actions") if isinstance(listed, dict) else listed
        if not isinstance(listed, list | tuple) or not listed:
            file = "" if where == "actions" else ", in YAML a line each: - [8, 0, 2]"
            raise ConfigError(f"{where} is no list of steps; {STEP}{file}.")
        rows = [_numbers(f"Step {number} of {where}", step, codes) for number, step in enumerate(listed)]
        for number, (right, down, _, *pan) in enumerate(rows if frame_size is not None else ()):
            height, width = frame_size or (0, 0)
            for way, limit in ((right, width), (pan[0], width), (down, height), (pan[1], height)):
                if abs(way) > limit:
                    raise ConfigError(
                        f"Step {number} of {where} goes {_short(way)} pixels at once, beyond the whole frame of "
                        f"{height}x{width}; {STEP}."
                    )
        return cls(
            torch.tensor([row[:2] for row in rows], dtype=torch.float32),
            torch.tensor([int(row[2]) for row in rows]),
            torch.tensor([row[3:] for row in rows], dtype=torch.float32),
        )

    def write(self, path: Path) -> Path:
        """A file that :meth:`read` takes back, a step a line; replaced atomically."""
        certain = [None] * len(self) if self.confidence is None else self.confidence.tolist()
        lines = ["actions:", f"# {STEP}"]
        for shift, action, pan, sure in zip(
            self.shifts.tolist(), self.actions.tolist(), self.pans.tolist(), certain, strict=True
        ):
            if sure is None:
                numbers = [*map(_short, shift), str(action), *map(_short, pan)]
                lines.append(f"- [{', '.join(numbers)}]")
            else:
                way, camera = (f"[{', '.join(map(_short, pair))}]" for pair in (shift, pan))
                lines.append(f"- {{shift: {way}, action: {action}, camera: {camera}, confidence: {sure:.3f}}}")
        with replacing(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def without_camera(self) -> "Steps":
        """The same before a background that stands still."""
        return Steps(self.shifts, self.actions, torch.zeros_like(self.pans), self.confidence)


def _short(number: float) -> str:
    return f"{round(number, 3) + 0.0:g}"


def _numbers(which: str, step: Any, codes: int) -> list[float]:
    """[right, down, action, camera right, camera down] of a step."""
    listed: Any = step
    if isinstance(step, Mapping):
        if unknown := [str(name) for name in step if name not in _NAMES]:
            raise ConfigError(f"{which} names '{shown(unknown[0])}', expected {', '.join(_NAMES)}; {STEP}.")
        shift, camera = step.get("shift"), step.get("camera", [0, 0])
        listed = None
        if isinstance(shift, list | tuple) and isinstance(camera, list | tuple) and len(shift) == len(camera) == 2:
            listed = [*shift, step.get("action"), *camera]
    fits = isinstance(listed, list | tuple) and len(listed) in (3, 5)
    if not fits or any(isinstance(v, bool) or not isinstance(v, int | float) for v in listed):
        raise ConfigError(f"{which} is {shown(step)}; {STEP}.")
    right, down, action, *pan = listed
    if not all(map(is_number, (right, down, *pan))):
        raise ConfigError(f"{which} is {shown(step)}; its shifts are no finite numbers of pixels.")
    if not is_number(action) or action % 1 or not 0 <= action < codes:
        raise ConfigError(f"{which} asks for action {shown(action)}; the model has 0 to {codes - 1}.")
    return [float(number) for number in (right, down, action, *(pan or (0, 0)))]
