"""Human3.6M as HDF5: 3-D positions of 32 joints, cameras, and the data set's own projection.

The layout is that of the archive that public pose estimation code shares (Martinez et al., ICCV 2017)::

    cameras.h5                                  subject1/camera1/{R, T, f, c, k, p, Name} ...
    S1/MyPoses/3D_positions/Walking.h5          3D_positions [96, frames], 50 frames per second
    S1/MyPoses/3D_positions/Walking 1.h5

Positions are world millimetres with z up. Whatever else lies in files or folders is left alone.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mutoscope.formats.sources import FileError, check_file, reason

Array = NDArray[np.float64]

FPS = 50.0
SUBJECTS = (1, 5, 6, 7, 8, 9, 11)
#: serial numbers of the cameras, in their order in cameras.h5
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
#: the published recordings have so many trials of an action
TRIALS = 2
NUM_JOINTS = 32
#: which of the 32 the named joints are; the others are duplicates and end sites
JOINT_IDS = {
    "hip": 0,
    "right_hip": 1,
    "right_knee": 2,
    "right_foot": 3,
    "left_hip": 6,
    "left_knee": 7,
    "left_foot": 8,
    "spine": 12,
    "thorax": 13,
    "neck": 14,
    "head": 15,
    "left_shoulder": 17,
    "left_elbow": 18,
    "left_wrist": 19,
    "right_shoulder": 25,
    "right_elbow": 26,
    "right_wrist": 27,
}
#: bytes of a file at most; the published ones have 5 MB
_LIMIT = 2**30
#: frames of a recording at most: over an hour
_MOST_FRAMES = 200_000
#: no position of a person has a number beyond this, in any unit
_FARTHEST = 1e6
#: millimetres: how far cameras of a room stand from its middle
_CAMERA_AWAY = (100.0, 1e5)
#: pixels
_FOCAL = (10.0, 1e5)
#: coefficients of a lens are below one
_BENT = 100.0
_FILE = re.compile(r"(?P<action>\w+?)(?: (?P<trial>\d))?\.h5")
#: parts of a camera and how many numbers they have
_PARTS = {"R": 9, "T": 3, "f": 2, "c": 2, "k": 3, "p": 2, "Name": 8}


class Human36mError(FileError):
    """A file of positions or cameras that cannot be used."""


@dataclass(frozen=True)
class PositionFile:
    """A recording: ``Walking 1.h5`` is trial ``"Walking 1"`` of the action ``"Walking"``."""

    path: Path
    subject: int
    action: str

    @property
    def name(self) -> str:
        return f"S{self.subject}/{self.path.stem}"


@dataclass(frozen=True)
class Camera:
    """A camera as one subject was filmed with it.

    Args:
        name: its serial number.
        rotation: ``[3, 3]``, world axes to camera axes (x right, y down, z ahead).
        centre: ``[3]`` where it stands, in world millimetres.
        focal, principal: ``[2]`` focal lengths and principal point in pixels.
        radial: ``[3]`` coefficients of r^2, r^4, r^6.
        tangential: ``[2]`` coefficients.
    """

    name: str
    rotation: Array
    centre: Array
    focal: Array
    principal: Array
    radial: Array
    tangential: Array

    def to_camera(self, points: Array) -> Array:
        """World ``[..., 3]`` -> camera axes ``[..., 3]``, millimetres; the last coordinate is the depth."""
        return (points - self.centre) @ self.rotation.T

    def to_world(self, points: Array) -> Array:
        """Camera axes ``[..., 3]`` -> world ``[..., 3]``, millimetres."""
        return points @ self.rotation + self.centre

    def project(self, points: Array) -> tuple[Array, Array]:
        """Where points appear in the picture.

        The lens is the data set's own: its tangential terms are not those of OpenCV, whose cross terms are twice as
        large.

        Args:
            points: ``[..., 3]`` world millimetres.

        Returns:
            Pixels ``[..., 2]`` (x right, y down) and depths ``[...]`` in millimetres.

        Raises:
            ValueError: if a point does not lie before the camera.
        """
        seen = self.to_camera(points)
        depth = seen[..., 2]
        if not (depth > 0).all():
            raise ValueError(
                f"{int((depth <= 0).sum())} of {depth.size} points lie behind camera {self.name}; "
                "positions and camera do not belong together."
            )
        flat = seen[..., :2] / depth[..., None]
        r2 = (flat**2).sum(axis=-1, keepdims=True)
        radial = 1 + r2 * (self.radial[0] + r2 * (self.radial[1] + r2 * self.radial[2]))
        tangential = (flat * self.tangential[::-1]).sum(axis=-1, keepdims=True)
        bent = flat * (radial + tangential) + r2 * self.tangential[::-1]
        return bent * self.focal + self.principal, depth


def position_files(root: Path, subject: int) -> list[PositionFile]:
    """Recordings of a subject, sorted by action and file name; the action is the whole name, not its beginning.

    Raises:
        FileNotFoundError: if the subject has no folder of positions.
    """
    folder = root / f"S{subject}" / "MyPoses" / "3D_positions"
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} with the positions of subject {subject}.")
    found = [(match["action"], path) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))]
    return [PositionFile(path, subject, action) for action, path in sorted(found)]


def read_positions(path: Path) -> Array:
    """``[frames, 32, 3]`` world coordinates, in millimetres as they are published.

    Raises:
        FileNotFoundError: if the file is missing.
        Human36mError: if it is no HDF5 file, is damaged, or holds something else.
        ModuleNotFoundError: if h5py is missing.
    """
    with _opened(path) as file:
        found = _data_set(file, "3D_positions", path)
        if len(found.shape) != 2 or found.shape[0] != 3 * NUM_JOINTS or not 0 < found.shape[1] <= _MOST_FRAMES:
            raise Human36mError(
                path,
                f"'3D_positions' has shape {found.shape}, expected ({3 * NUM_JOINTS}, frames): {NUM_JOINTS} joints of "
                f"3 coordinates, {_MOST_FRAMES} frames at most.",
            )
        values = _numbers(found, "3D_positions", path)
    return np.ascontiguousarray(values.T).reshape(-1, NUM_JOINTS, 3)


def read_camera(path: Path, subject: int, name: str) -> Camera:
    """The camera with this serial number as it filmed a subject.

    Raises:
        FileNotFoundError: if the file is missing.
        Human36mError: if the subject or the camera is not in it, it is damaged, or no camera can be so.
        ModuleNotFoundError: if h5py is missing.
    """
    with _opened(path) as file:
        group = f"subject{subject}"
        if not hasattr(_followed(file, group, path), "keys"):
            there = ", ".join(sorted(key for key in file if key.startswith("subject"))) or "none"
            raise Human36mError(path, f"it has no cameras of subject {subject}; it has those of: {there}.")
        known = []
        for key in sorted(key for key in file[group] if key.startswith("camera")):
            parts: dict[str, Array] = {}
            for part, size in _PARTS.items():
                where = f"{group}/{key}/{part}"
                found = _data_set(file, where, path)
                if found.size != size:
                    raise Human36mError(path, f"'{where}' has shape {found.shape}, expected {size} numbers.")
                parts[part] = _numbers(found, where, path)
            known.append("".join(chr(int(code)) for code in parts["Name"].ravel().clip(0, 127)))
            if known[-1] == name:
                flat = {part: values.ravel() for part, values in parts.items()}
                # stored column by column
                rotation = parts["R"].reshape(3, 3).T
                camera = Camera(name, rotation, flat["T"], flat["f"], flat["c"], flat["k"], flat["p"])
                _check_camera(camera, path, f"{group}/{key}")
                return camera
    raise Human36mError(path, f"it has no camera '{name}' of subject {subject}; it has {', '.join(known) or 'none'}.")


def _check_camera(camera: Camera, path: Path, where: str) -> None:
    rotation = camera.rotation
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise Human36mError(path, f"'{where}/R' is no rotation; its rows must be of length 1, at right angles.")
    away = float(np.linalg.norm(camera.centre))
    if not _CAMERA_AWAY[0] <= away <= _CAMERA_AWAY[1]:
        raise Human36mError(path, f"'{where}/T' is {away:g} from the middle of the room; expected millimetres.")
    if not ((camera.focal >= _FOCAL[0]) & (camera.focal <= _FOCAL[1])).all():
        raise Human36mError(path, f"'{where}/f' is {camera.focal.tolist()}, expected focal lengths in pixels.")
    if np.abs(camera.principal).max() > _FOCAL[1]:
        raise Human36mError(path, f"'{where}/c' is {camera.principal.tolist()}, expected a place in pixels.")
    if max(np.abs(camera.radial).max(), np.abs(camera.tangential).max()) > _BENT:
        raise Human36mError(path, f"'{where}/k' or '{where}/p' is beyond {_BENT:g}, which no lens bends.")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    h5py = _h5py()
    check_file(path, _LIMIT, Human36mError)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except Human36mError:
        raise
    # damaged files make h5py raise nearly everything
    except Exception as error:
        raise Human36mError(
            path, f"it cannot be read as HDF5 ({reason(error)}); it may be damaged or cut short."
        ) from None


def _followed(file: Any, key: str, path: Path) -> Any:
    """What lies at ``a/b/c``, or ``None``; links out of the file are not followed."""
    found = file
    for step in key.split("/"):
        if not hasattr(found, "keys"):
            return None
        link = found.get(step, getlink=True)
        if link is None:
            return None
        if type(link).__name__ != "HardLink":
            raise Human36mError(path, f"'{key}' is a link to something else, which is not followed; copy it in.")
        found = found[step]
    return found


def _data_set(file: Any, key: str, path: Path) -> Any:
    """A numeric data set, not yet read; a sentence where it is missing, lies elsewhere or holds something else."""
    found = _followed(file, key, path)
    if getattr(found, "shape", None) is None or not hasattr(found, "is_virtual"):
        raise Human36mError(path, f"it has no data set '{key}'; it has {', '.join(sorted(file)[:20]) or 'nothing'}.")
    if found.is_virtual or found.external:
        raise Human36mError(path, f"the values of '{key}' lie in other files, which are not followed; copy them in.")
    if found.dtype.kind not in "fiu" or found.dtype.itemsize > 16:
        raise Human36mError(path, f"'{key}' holds {found.dtype}, expected numbers.")
    return found


def _numbers(found: Any, key: str, path: Path) -> Array:
    """The values of a data set as float64; a sentence where one is no finite number of sensible size."""
    with np.errstate(over="ignore"):
        values = np.asarray(found[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise Human36mError(path, f"'{key}' holds values that are no finite numbers.")
    if np.abs(values).max(initial=0) > _FARTHEST:
        raise Human36mError(path, f"'{key}' holds {np.abs(values).max():g}, expected nothing beyond {_FARTHEST:g}.")
    return values


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise ModuleNotFoundError(
            "Human3.6M needs the package h5py: pip install 'mutoscope[human36m]' or pip install h5py."
        ) from error
    return h5py
