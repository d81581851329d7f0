"""Folders and files that people name for data; told apart from the datasets, which import torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutoscope.formats.missing import require_named

_CATER = "https://github.com/rohitgirdhar/CATER/blob/master/generate/README.md#direct-links"
_PLAYABLE = (
    "train/<video>/00000.png ..., val/ and test/ alike, with masks/ and glactions.pkl in a video's folder where they "
    "are known. Set dataset.root=<that folder>"
)
#: what is expected in the folder of a dataset, by its registered name: the end of a sentence
WANTED: Mapping[str, str] = {
    "cater": (
        "expected the folder 'max2action' of CATER with videos/<name>.avi, scenes/<name>.json and lists/; its archives "
        f"are linked from {_CATER} and unpacked into it. Set dataset.root=<that folder>"
    ),
    "smthv2": (
        "expected a folder with the videos (videos/<id>.webm, 20bn-something-something-v2/<id>.webm or the pictures "
        "frames/<id>/0001.jpg ...), the labels of Something-Something V2 (https://www.qualcomm.com/developer/software/"
        "something-something-v-2-dataset) and the boxes of Something-Else (https://github.com/joaanna/something_else). "
        "Set dataset.root=<that folder>"
    ),
    "human36m": (
        "expected a folder with cameras.h5 and S1/MyPoses/3D_positions/Walking.h5 and its siblings. The data set's "
        "licence forbids passing it on: ask for a copy at vision.imar.ro/human3.6m. Set dataset.root=<that folder>"
    ),
    "video_folder": (
        "expected a folder with videos (mp4, mov, webm, avi, mkv, gif ...) or with folders of frames (0001.jpg ...), "
        "at any depth. Set dataset.root=<that folder>"
    ),
    "pvg": f"expected a folder in the layout of Playable Video Generation: {_PLAYABLE}",
    "tennis": (
        "expected the folder Tennis of Playable Video Generation (https://github.com/willi-menapace/"
        f"PlayableVideoGeneration): {_PLAYABLE}"
    ),
    "bair": (
        "expected the folder BAIR of Playable Video Generation (https://github.com/willi-menapace/"
        f"PlayableVideoGeneration): {_PLAYABLE}"
    ),
    "cmu_mocap": (
        "expected a folder with index.csv (columns file, label, subject, trial, asf, fps), the AMC motions and ASF "
        "skeletons it names; recordings come from the CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu. "
        "Set dataset.root=<that folder>"
    ),
}


@dataclass(frozen=True)
class Named:
    """What a setting of a dataset names.

    Args:
        what: is expected there, and what does without; the end of a sentence.
        below_root: whether a path may begin at the dataset's folder.
    """

    what: str
    below_root: bool = True


_SPRITES = "characters and landscape are drawn where none are named"
_VIDEOS, _LABELS = "a text file with a video of the split a line", "the split's labels, .csv or .json"
#: what people have to have beside the folder itself, by the name of the setting, whichever of this package's datasets
#: has it
NAMED: Mapping[str, Named] = {
    "sheets": Named(f"a folder with sprite sheets (body/0.png ...); {_SPRITES}", below_root=False),
    "background": Named(f"a picture; {_SPRITES}", below_root=False),
    "index": Named("a table of the recordings (file, label, subject, trial, asf, fps) in dataset.root"),
    **dict.fromkeys(("train_list", "val_list", "test_list"), Named(_VIDEOS)),
    **dict.fromkeys(("train_labels", "val_labels", "test_labels"), Named(_LABELS)),
    "boxes": Named("Something-Else's boxes, a file or a folder of them"),
    "mapping": Named("a .json file {raw category: category}"),
}


def require_files(dataset: Mapping[str, Any]) -> None:
    """Whether the files that settings of a dataset name are there.

    Args:
        dataset: settings of a dataset of this package; those below a folder that is not named are left for later.

    Raises:
        FileNotFoundError: naming the setting, and what is expected there.
    """
    root = dataset.get("root")
    for name, named in NAMED.items():
        if not isinstance(path := dataset.get(name), str):
            continue
        places = [Path(path)]
        if named.below_root and not Path(path).expanduser().is_absolute():
            if not isinstance(root, str):
                continue
            places.insert(0, Path(root).expanduser() / path)
        require_named(f"dataset.{name}", places, named.what)


def existing_folder(root: str | None, dataset: str, wanted: str) -> Path:
    """The folder of a dataset.

    Args:
        root: as named by the user; ``~`` is their home.
        dataset: its registered name.
        wanted: what is expected there and how to name it; the end of a sentence.

    Raises:
        FileNotFoundError: if none is named or it is not there.
    """
    if root is None:
        raise FileNotFoundError(f"{dataset} was given no folder; {wanted}.")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; {wanted}.")
    return folder
