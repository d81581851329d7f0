"""Folders that people name for data that cannot be passed on; told apart from the datasets, which import torch."""

from collections.abc import Mapping
from pathlib import Path

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
