"""Where prepared data lie, and by what name."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def default_cache() -> Path:
    """Where prepared data go unless a config says otherwise: ``$MUTOSCOPE_CACHE`` or ``~/.cache/mutoscope``."""
    return Path(os.environ.get("MUTOSCOPE_CACHE", Path.home() / ".cache" / "mutoscope"))


def cache_folder(named: str | None) -> Path:
    """Where prepared data go: the folder that a config names (``~`` is its user's home), or :func:`default_cache`."""
    return default_cache() if named is None else Path(named).expanduser()


def fingerprint(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Changes whenever a setting or the place, size or modification time of a file does.

    Of a folder, names, sizes and times of the files in it count, but for hidden ones.

    Raises:
        FileNotFoundError: naming the first files that are missing.
    """
    stamps: list[list[Any]] = []
    missing = []
    for file in sorted(set(files)):
        if file.is_file():
            stat = file.stat()
            stamps.append([str(file.resolve()), stat.st_size, stat.st_mtime_ns])
        elif file.is_dir():
            with os.scandir(file) as entries:
                inside = sorted((e.name, e.stat()) for e in entries if not e.name.startswith("."))
            stamps.append([str(file.resolve()), *([name, s.st_size, s.st_mtime_ns] for name, s in inside)])
        else:
            missing.append(str(file))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise FileNotFoundError(f"Missing files: {', '.join(missing[:3])}{more}.")
    text = json.dumps({"settings": settings, "files": stamps}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
