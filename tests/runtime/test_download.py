import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Server, serving

from mutoscope.runtime.download import DownloadError, Expected, download, sha256_of

DATA = bytes(range(256)) * 400
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/weights.pth": DATA}) as running:
        yield running


def fetch(server: Server, folder: Path, expected: Expected | None = None) -> Path:
    return download(f"{server.url}/weights.pth", folder / "weights.pth", expected or Expected(DIGEST), pause=0.001)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_comes_whole_and_once(server: Server, tmp_path: Path) -> None:
    path = fetch(server, tmp_path / "new" / "folder")
    assert path.read_bytes() == DATA
    assert sha256_of(path) == DIGEST
    fetch(server, path.parent)
    assert server.asked == [""]
    assert left(path.parent) == ["weights.pth"]


def test_a_connection_that_is_cut_is_taken_up_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut = [1000, 5000]
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.asked == ["", "bytes=1000-", "bytes=6000-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.cut = [100, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"cut. 100 bytes have come and are kept in .*weights\.pth\.part; the same"):
        fetch(server, tmp_path)
    assert left(tmp_path) == ["weights.pth.part"]
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.asked[-1] == "bytes=100-"
    assert left(tmp_path) == ["weights.pth"]


def test_a_server_that_cannot_go_on_begins_anew(server: Server, tmp_path: Path) -> None:
    server.cut, server.ranges = [1000], False
    assert fetch(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (Expected("0" * 64), "its SHA-256 begins with"),
        (Expected("deadbeef"), f"begins with {DIGEST[:8]} instead of deadbeef"),
        (Expected(size=len(DATA) + 1), "instead of 102,401"),
    ],
)
def test_wrong_content_is_removed_and_never_takes_its_place(
    server: Server, tmp_path: Path, expected: Expected, said: str
) -> None:
    with pytest.raises(DownloadError, match=said):
        fetch(server, tmp_path, expected)
    assert left(tmp_path) == []


def test_what_was_kept_of_another_file_is_found_out_and_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.part").write_bytes(b"x" * 500)
    with pytest.raises(DownloadError, match="It was removed; try again"):
        fetch(server, tmp_path)
    assert fetch(server, tmp_path).read_bytes() == DATA
    # longer than the real one
    (tmp_path / "weights.pth").unlink()
    (tmp_path / "weights.pth.part").write_bytes(DATA + b"x")
    with pytest.raises(DownloadError, match="It was removed; try again"):
        fetch(server, tmp_path)


def test_a_damaged_file_in_place_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(DATA[:-1])
    assert fetch(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 4)])
def test_refusals_are_told_and_only_passing_ones_tried_again(
    server: Server, tmp_path: Path, status: int, attempts: int
) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"the server answers {status}"):
        fetch(server, tmp_path)
    assert len(server.asked) == attempts


def test_nobody_listening_is_a_sentence(tmp_path: Path) -> None:
    with serving({}) as gone:
        url = gone.url
    with pytest.raises(
        DownloadError, match=r"4 attempts: .*refused.*Nothing has come; see whether this machine may use the network"
    ):
        download(f"{url}/weights.pth", tmp_path / "weights.pth", Expected(), pause=0.001)
