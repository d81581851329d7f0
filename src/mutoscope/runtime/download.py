"""Files from the network: with a bar, taken up where they were cut off, checked before they take their place."""

import hashlib
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from filelock import FileLock

from mutoscope.runtime.console import progress_bar

_CHUNK = 2**20
#: connections that are tried before giving up; what has come is kept in any case
_ATTEMPTS = 4
_PATIENCE = 30.0


class DownloadError(OSError):
    """A file that did not come, or came wrong; the message says where it was to come from and what to do."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it comes.

    Args:
        sha256: its digest, or as many leading hexadecimal digits of it as are published; empty if none are.
        size: bytes, where they are known.
    """

    sha256: str = ""
    size: int | None = None

    def complaint(self, path: Path) -> str | None:
        """What is wrong with a file, or ``None``."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"it has {size:,} bytes instead of {self.size:,}"
        if self.sha256 and not (found := sha256_of(path)).startswith(self.sha256):
            return f"its SHA-256 begins with {found[: max(8, len(self.sha256))]} instead of {self.sha256}"
        return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, path: Path, expected: Expected, *, pause: float = 1.0) -> Path:
    """Fetch a file unless it is there; several processes that ask for the same one wait for the first.

    What has come lies in ``<path>.part`` until it is whole and right. A connection that breaks is opened again from
    there, in this call and in later ones, where the server can go on in the middle; a file with the wrong content is
    removed.

    Args:
        url: ``http(s)://``.
        path: where it goes; missing folders are made.
        expected: what is known of it.
        pause: seconds before the second attempt; doubled before each further one.

    Raises:
        DownloadError: if the server cannot be reached, or refuses, or the file is cut off or has the wrong content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file() and expected.complaint(path) is None:
            return path
        part = path.with_name(f"{path.name}.part")
        _fetch(url, part, expected, pause)
        if (wrong := expected.complaint(part)) is not None:
            part.unlink()
            raise DownloadError(
                f"What {url} sent is not {path.name}: {wrong}. It was removed; try again, or fetch the file elsewhere "
                f"and put it at {path}."
            )
        part.replace(path)
    return path


def _fetch(url: str, part: Path, expected: Expected, pause: float) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            if _receive(url, part, expected):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            answer = f"{error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                raise DownloadError(
                    f"{url} cannot be fetched: the server answers {error.code} {error.reason}."
                ) from None
            reason = f"the server answers {answer}"
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if attempt < _ATTEMPTS - 1:
            time.sleep(pause * 2**attempt)
    come = part.stat().st_size if part.is_file() else 0
    if come:
        raise DownloadError(
            f"{url} could not be fetched in {_ATTEMPTS} attempts: {reason}. {come:,} bytes have come and are kept in "
            f"{part}; the same command goes on from there."
        )
    raise DownloadError(
        f"{url} could not be fetched in {_ATTEMPTS} attempts: {reason}. Nothing has come; see whether this machine may "
        "use the network, or bring the file by hand."
    )


def _receive(url: str, part: Path, expected: Expected) -> bool:
    """Append what one connection brings; whether the file is whole."""
    come = part.stat().st_size if part.is_file() else 0
    if expected.size is not None and come >= expected.size:
        return True
    request = urllib.request.Request(url, headers={"Range": f"bytes={come}-"} if come else {})
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416 and come:
            # nothing follows: what is there is whole, or of another file; its checksum tells
            return True
        raise
    with response:
        if response.status != 206 or not (response.headers.get("Content-Range") or "").startswith(f"bytes {come}-"):
            # the server begins anew
            come = 0
        length = response.headers.get("Content-Length")
        total = come + int(length) if length is not None else expected.size
        with part.open("ab" if come else "wb") as file, progress_bar(in_bytes=True) as progress:
            task = progress.add_task(part.name.removesuffix(".part"), total=total, completed=come)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                come += len(chunk)
                progress.update(task, completed=come)
    return total is None or come >= total
