"""Which recordings of Human3.6M lie in a folder, and which were expected."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.formats.human36m import SUBJECTS, TRIALS, PositionFile, position_files

#: SA-GCN's actions in label order
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


@dataclass(frozen=True)
class Recordings:
    """The recordings of some people and actions.

    Args:
        folder: where they lie.
        train, val: subjects.
        classes: actions in label order.
        files: sorted by subject, action and file name.
    """

    folder: Path
    train: tuple[int, ...]
    val: tuple[int, ...]
    classes: tuple[str, ...]
    files: tuple[PositionFile, ...]

    @property
    def subjects(self) -> tuple[int, ...]:
        return tuple(sorted(self.train + self.val))

    def absent(self) -> list[str]:
        """Subjects and actions of which fewer trials are there than were published, with how many there are."""
        count = Counter((file.subject, file.action) for file in self.files)
        return [
            f"S{subject} {action} ({count[subject, action]} of {TRIALS})"
            for subject in self.subjects
            for action in self.classes
            if count[subject, action] < TRIALS
        ]


def find_recordings(
    root: str | None, train: Sequence[int], val: Sequence[int], classes: Sequence[str] | None
) -> Recordings:
    """Look for the recordings of these subjects and actions, the papers' ten by default.

    Raises:
        FileNotFoundError: if the folder or that of a subject is missing.
        ValueError: for unknown or doubled subjects or actions, or an action without any recording for training.
    """
    _check_subjects(train, val)
    folder = existing_folder(root, "human36m", WANTED["human36m"])
    there = [file for subject in sorted([*train, *val]) for file in position_files(folder, subject)]
    chosen = _chosen(classes, {file.action for file in there}, folder)
    files = tuple(file for file in there if file.action in chosen)
    trained = {file.action for file in files if file.subject in train}
    if missing := [name for name in chosen if name not in trained]:
        raise ValueError(
            f"There is no training recording of {', '.join(missing)} below {folder}; name the actions to use, "
            f"dataset.classes=[{','.join(name for name in chosen if name in trained)}], or complete the folder."
        )
    return Recordings(folder, tuple(train), tuple(val), chosen, files)


def _check_subjects(train: Sequence[int], val: Sequence[int]) -> None:
    for name, subjects in (("train_subjects", train), ("val_subjects", val)):
        if not subjects or len(set(subjects)) != len(subjects) or not set(subjects) <= set(SUBJECTS):
            raise ValueError(
                f"{name} is {list(subjects)}, expected one or more of {', '.join(map(str, SUBJECTS))}, nobody twice."
            )
    if both := sorted(set(train) & set(val)):
        raise ValueError(f"Subject {both[0]} is in train_subjects and in val_subjects; hold out other people.")


def _chosen(classes: Sequence[str] | None, there: set[str], folder: Path) -> tuple[str, ...]:
    if classes is None:
        return ACTIONS
    if unknown := [name for name in classes if name not in there]:
        raise ValueError(
            f"There is no recording of '{unknown[0]}' below {folder}; "
            f"its actions are {', '.join(sorted(there)) or 'none'}."
        )
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"classes is {list(classes)}, expected one or more names, none of them twice.")
    return tuple(classes)
