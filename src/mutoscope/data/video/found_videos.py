"""Which videos lie below a folder, and what can be told of them without decoding."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from mutoscope.data.skipped import Skipped
from mutoscope.formats.decoding import NoVideoStreamError, extent_of
from mutoscope.formats.frame_folders import FrameFolderError, probe_folder
from mutoscope.formats.pictures import PICTURES
from mutoscope.runtime.cache import fingerprint
from mutoscope.runtime.parallel import each

#: endings of files that are tried
VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mkv", ".avi", ".wmv", ".flv", ".gif"),
    *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".ogv", ".y4m"),
)
#: what is smaller cannot show anything
_LEAST_SIDE = 16
#: of one file at most: a day
_MOST_SECONDS = 86_400.0


@dataclass(frozen=True)
class FoundVideo:
    """A video that seems fit for use.

    Args:
        frames: how many are stored, at most.
        seconds: how long they are shown; ``None`` for a folder of pictures.
    """

    frames: int
    seconds: float | None

    def room(self, fps: float) -> int:
        """Frames that it may have at a constant rate, at most."""
        return self.frames if self.seconds is None else math.ceil(self.seconds * fps) + 2


def find_videos(root: Path) -> list[str]:
    """Names below ``root`` of video files and of folders that hold pictures, in the order of the alphabet.

    Links are followed, hidden files and folders are passed over.
    """
    found, seen = [], set()
    for folder, inside, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            inside.clear()
            continue
        seen.add(real)
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        shown = [Path(folder, name) for name in files if not name.startswith(".")]
        found += [path for path in shown if path.suffix.lower() in VIDEOS]
        if any(path.suffix.lower() in PICTURES for path in shown):
            found.append(Path(folder))
    return sorted(path.relative_to(root).as_posix() for path in found)


def look_at(root: Path, names: Sequence[str], journal: Path, workers: int) -> dict[str, FoundVideo | Skipped]:
    """What videos hold, or why they cannot be used, by their names; goes on where it was interrupted.

    Args:
        root, names: the videos.
        journal: a file that notes what is done; of videos that were changed since, anew.
        workers: processes.
    """
    keys = {name: fingerprint({"name": name}, [root / name]) for name in names}
    done: dict[str, FoundVideo | Skipped] = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        try:
            key, usable, facts = json.loads(line)
        except (ValueError, TypeError):
            # after a kill the last note may lack its end
            continue
        done[key] = FoundVideo(**facts) if usable else Skipped(**facts)
    todo = [name for name in names if keys[name] not in done]
    if todo:
        with journal.open("a", encoding="utf-8") as notes:
            notes.write("\n")
            for i, one in each(partial(_look, root), todo, workers, "Looking at videos"):
                key = keys[todo[i]]
                done[key] = one
                notes.write(json.dumps([key, isinstance(one, FoundVideo), asdict(one)]) + "\n")
                notes.flush()
    return {name: done[keys[name]] for name in names}


def _look(root: Path, name: str) -> FoundVideo | Skipped:
    path = root / name
    try:
        if path.is_dir():
            width, height, frames = probe_folder(path)
            seconds = None
        else:
            width, height, frames, seconds = extent_of(path)
            if seconds is None:
                return Skipped(name, "video without times", f"{path} does not say when its frames are shown.")
    except NoVideoStreamError as error:
        return Skipped(name, "sound without pictures", str(error))
    except FrameFolderError as error:
        return Skipped(name, "folder of frames out of order", str(error))
    except (OSError, ValueError) as error:
        return Skipped(name, "video cannot be decoded", str(error))
    if min(width, height) < _LEAST_SIDE:
        detail = f"{path} has {width}x{height} pixels, expected at least {_LEAST_SIDE} each way."
        return Skipped(name, "tiny frames", detail)
    if seconds is not None and seconds > _MOST_SECONDS:
        detail = f"{path} says that it lasts {seconds / 3600:,.0f} hours, expected a day at most; cut it."
        return Skipped(name, "too long", detail)
    return FoundVideo(frames, seconds)
