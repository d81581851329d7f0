"""A made-up Human3.6M: the layout of the real files, other people."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

SERIALS = ("54138969", "55011271", "58860488", "60457274")
ACTIONS = (
    "Directions",
    "Discussion",
    "Eating",
    "Greeting",
    "Phoning",
    "Posing",
    "Sitting",
    "SittingDown",
    "Smoking",
    "Walking",
)


def positions(frames: int, seed: int) -> np.ndarray:
    """``[frames, 32, 3]`` world millimetres, z up: somebody sways about a place of their own."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 300, size=(32, 3)) + np.array([0, 0, 1000])
    sway = np.cumsum(rng.normal(0, 8, size=(frames, 32, 3)), axis=0) * 0.5
    walk = np.cumsum(rng.normal(0, 5, size=(frames, 1, 3)), axis=0) * (1, 1, 0)
    return body + sway + walk + rng.normal(0, 200, size=3) * (1, 1, 0)


def write_positions(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["3D_positions"] = values.reshape(len(values), 96).T


def camera(subject: int, number: int) -> dict[str, np.ndarray]:
    """A camera some five metres away that looks at the origin, in the shapes of cameras.h5, R not yet transposed."""
    rng = np.random.default_rng([subject, number])
    angle = number * np.pi / 2 + rng.uniform(-0.2, 0.2)
    centre = np.array([5000 * np.cos(angle), 5000 * np.sin(angle), 1500.0]) + rng.normal(0, 50, size=3)
    ahead = np.array([0, 0, 1000]) - centre
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, (0, 0, 1))
    right = right / np.linalg.norm(right)
    return {
        "R": np.stack([right, np.cross(ahead, right), ahead]),
        "T": centre[:, None],
        "f": rng.uniform(1140, 1150, size=(2, 1)),
        "c": rng.uniform(500, 520, size=(2, 1)),
        "k": np.array([[-0.2], [0.25], [-0.01]]) + rng.normal(0, 0.01, size=(3, 1)),
        "p": rng.normal(0, 1e-3, size=(2, 1)),
    }


def write_cameras(path: Path, cameras: Mapping[int, Sequence[Mapping[str, np.ndarray]]]) -> None:
    """``{subject: its four cameras}``, with the stray that lies in the real file too."""
    with h5py.File(path, "w") as file:
        file["3dtest"] = np.zeros((96, 1))
        for subject, four in cameras.items():
            for number, (serial, parts) in enumerate(zip(SERIALS, four, strict=True), start=1):
                group = file.create_group(f"subject{subject}/camera{number}")
                for part, values in parts.items():
                    group[part] = values.T if part == "R" else values
                group["Name"] = np.array([[float(ord(digit))] for digit in serial])


def write_tree(
    root: Path,
    *,
    subjects: Sequence[int] = (1, 5, 11),
    actions: Sequence[str] = ACTIONS,
    frames: int = 60,
    suffixes: Sequence[str] = ("", " 1"),
) -> Path:
    """Two trials of every action by every subject."""
    root.mkdir(parents=True, exist_ok=True)
    for subject in subjects:
        for a, action in enumerate(actions):
            for t, suffix in enumerate(suffixes):
                path = root / f"S{subject}" / "MyPoses" / "3D_positions" / f"{action}{suffix}.h5"
                write_positions(path, positions(frames + 3 * t, seed=1000 * subject + 10 * a + t))
    write_cameras(root / "cameras.h5", {s: [camera(s, number) for number in range(4)] for s in subjects})
    return root
