"""Folders whose pictures are the frames of a video, in the order in which people count."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from mutoscope.formats.pictures import PICTURES, Picture, picture_size, read_picture
from mutoscope.formats.sources import FileError, reason

_NUMBER = re.compile(r"([0-9]+)")


class FrameFolderError(FileError):
    """A folder of pictures that are no frames in a known order."""


def frame_files(folder: Path) -> list[Path]:
    """Pictures of a folder by their numbers: ``1.jpg, 2.jpg ... 10.jpg``, ``frame1.png ...``, ``0001.jpg ...``.

    Hidden files (``._1.jpg``, ``.DS_Store``), folders and files that are no pictures (``Thumbs.db``) are passed over.

    Raises:
        FrameFolderError: if there are no pictures, or they are not one a number and named alike; pictures without
            numbers come in the order of the alphabet.
    """
    try:
        found = sorted(entry for entry in folder.iterdir() if _is_frame(entry))
    except OSError as error:
        raise FrameFolderError(folder, f"it cannot be listed ({reason(error)}).") from None
    if not found:
        raise FrameFolderError(folder, f"it holds no pictures; expected frames as 0001.jpg ({', '.join(PICTURES)}).")
    pieces = {path: _NUMBER.split(path.stem) for path in found}
    if all(len(parts) == 1 for parts in pieces.values()):
        numbers = {path: (i,) for i, path in enumerate(found)}
        twice = {path.stem: path for path in found}
        if len(twice) < len(found):
            one, other = next((path, twice[path.stem]) for path in found if twice[path.stem] != path)
            raise FrameFolderError(folder, f"{one.name} and {other.name} are the same frame; remove one.")
        return list(numbers)
    first = found[0]
    for path in found:
        if pieces[path][::2] != pieces[first][::2]:
            raise FrameFolderError(
                folder, f"{first.name} and {path.name} are named differently; keep one series of frames in a folder."
            )
    order = {path: tuple(int(digits) for digits in pieces[path][1::2]) for path in found}
    found.sort(key=order.__getitem__)
    for before, path in pairwise(found):
        if order[before] == order[path]:
            raise FrameFolderError(folder, f"{before.name} and {path.name} are the same frame; remove one.")
    return found


def folder_frames(folder: Path) -> Iterator[Picture]:
    """The frames of a folder one after the other, ``[h, w, 3]`` uint8.

    Raises:
        FrameFolderError: as :func:`frame_files`, and where frames differ in size.
        PictureError: see :func:`~mutoscope.formats.pictures.read_picture`.
    """
    size: tuple[int, ...] | None = None
    for file in frame_files(folder):
        picture = read_picture(file)
        size = size or picture.shape
        if picture.shape != size:
            raise FrameFolderError(
                folder,
                f"{file.name} has {picture.shape[1]}x{picture.shape[0]} pixels, the frames before it "
                f"{size[1]}x{size[0]}; the frames of a video have one size.",
            )
        yield picture


def probe_folder(folder: Path) -> tuple[int, int, int]:
    """Width, height and number of frames of a folder where nothing is missing, so that others may count its frames too.

    Raises:
        FrameFolderError: as :func:`frame_files`, and if numbers do not go from 0 or 1 on without gaps.
        PictureError: see :func:`~mutoscope.formats.pictures.read_picture`.
    """
    files = frame_files(folder)
    numbers = [int(parts[-2]) for file in files if len(parts := _NUMBER.split(file.stem)) > 1]
    if numbers and numbers[0] > 1:
        raise FrameFolderError(folder, f"its first frame is {files[0].name}, expected number 0 or 1; complete it.")
    for (before, number), file in zip(pairwise(numbers), files[1:], strict=False):
        if number != before + 1:
            raise FrameFolderError(folder, f"before {file.name}, frame {before + 1} is missing; complete the folder.")
    return (*picture_size(files[0]), len(files))


def _is_frame(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.suffix.lower() in PICTURES and not entry.is_dir()
