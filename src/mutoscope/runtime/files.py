"""Files that are either the old ones or complete new ones, never half of one; what to say when the disk refuses."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: what a disk answers that is full, read-only or somebody else's
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an exception.

    Missing folders are made; after an exception the temporary file is removed and ``path`` is as it was.

    Raises:
        OSError: naming ``path`` where the disk refused, whatever the block made of that.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except Exception as error:
        refusal = storage_refusal(error)
        if refusal is None or refusal.filename not in (None, str(temporary)):
            raise
        raise OSError(refusal.errno, refusal.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def storage_refusal(error: BaseException) -> OSError | None:
    """The disk's refusal behind an error, if that is what it was: full, read-only, or not permitted.

    Libraries that write through our files (``torch.save``) answer with errors of their own, behind which it stands.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in _REFUSALS:
            return cause
        # libraries in Rust (safetensors) leave nothing but the number
        told = re.search(r"\(os error (\d+)\)", str(cause))
        if told and (number := int(told[1])) in _REFUSALS:
            return OSError(number, os.strerror(number))
        cause = cause.__cause__ or cause.__context__
    return None


def refusal_sentence(refusal: OSError) -> str:
    """Which file the disk refused and why, and what to do about it."""
    name = refusal.filename
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    file = "a file" if name is None else str(name)
    elsewhere = "or choose another place: hydra.run.dir=... for a run, MUTOSCOPE_CACHE=... for what is cached."
    if refusal.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full{_free(name)}: {file} could not be written. Free some space, {elsewhere}"
    if refusal.errno == errno.EROFS:
        return f"{file} lies on a file system that is read-only. Mount it for writing, {elsewhere}"
    return f"{file}: permission denied. Ask for the right to read and write it, {elsewhere}"


def _free(name: str | None) -> str:
    if name is None:
        return ""
    folder = next((parent for parent in Path(name).absolute().parents if parent.is_dir()), None)
    try:
        return "" if folder is None else f" ({shutil.disk_usage(folder).free / 2**20:.0f} MiB are free in {folder})"
    except OSError:
        return ""


def sweep_temporaries(folder: Path, *, alone: bool = False) -> list[Path]:
    """Remove what :func:`replacing` left in a folder when its process was killed.

    Args:
        folder: subfolders are left alone.
        alone: nobody else writes here now; otherwise what belongs to a living process stays.

    Returns:
        The files that were removed.
    """
    swept = []
    for path in folder.glob(".*.tmp"):
        owner = path.name.removesuffix(".tmp").rpartition(".")[2]
        if owner.isdecimal() and (alone or not _alive(int(owner))):
            path.unlink(missing_ok=True)
            swept.append(path)
    return swept


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
