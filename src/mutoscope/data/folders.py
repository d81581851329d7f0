"""Folders that people name for data that cannot be passed on."""

from pathlib import Path


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
