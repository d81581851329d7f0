"""Named arrays in ``.npz`` files, read without trusting what the file says of itself."""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mutoscope.formats.sources import FileError, check_file, reason

#: bytes of all arrays of a file at most
ARRAYS_LIMIT = 2**36


class ArraysError(FileError):
    """A file of arrays that cannot be used."""


def read_arrays(path: Path, names: Sequence[str], missing: str = "") -> dict[str, NDArray[Any]]:
    """Read some arrays of an ``.npz`` file; never a pickle.

    Args:
        path: the file.
        names: of the arrays, all of which must be there; others are left alone.
        missing: the sentence where there is no such file.

    Raises:
        FileNotFoundError: if there is no such file.
        ArraysError: if it is no such file, lacks an array, is damaged, or claims more than it holds.
    """
    check_file(path, ARRAYS_LIMIT, ArraysError, missing)
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _array(archive, f"{name}.npy", path) for name in names}
    except ArraysError:
        raise
    except KeyError as error:
        raise ArraysError(path, f"it is damaged: {reason(error)}.") from None
    # damaged archives and headers raise nearly everything
    except Exception as error:
        raise ArraysError(path, f"it is damaged ({type(error).__name__}: {reason(error)}).") from None


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    size = archive.getinfo(name).file_size
    with archive.open(name) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        # before anything of this size is asked of memory
        if dtype.hasobject or math.prod(shape) * dtype.itemsize + file.tell() != size:
            raise ArraysError(path, f"it is damaged: '{name}' claims to be {dtype} {shape}, but has {size} bytes.")
    with archive.open(name) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
