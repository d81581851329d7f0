"""Reports in a real browser: ``make test_browser``, for machines with Chromium; no network is needed."""

import re
from pathlib import Path

import numpy as np
import pytest
from devtools import Page, chromium, opened

from mutoscope.formats.video import write_mp4
from mutoscope.render.page.report import Report

pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium here; name one by $CHROMIUM")

VIDEOS = "Array.from(document.querySelectorAll('video'))"
#: what a page looks like to those who look at its first video
PICTURE = """(() => {
    const canvas = document.createElement('canvas'), context = canvas.getContext('2d');
    canvas.width = 64; canvas.height = 48;
    context.drawImage(document.querySelector('video'), 0, 0, 64, 48);
    return Array.from(context.getImageData(0, 0, 64, 48).data).map((x, i) => x * (i % 997)).reduce((a, b) => a + b);
})()"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A page with three videos, written as evaluations write theirs."""
    page = Report("Moving", "Three clips.")
    paths = []
    for i in range(3):
        frames = np.zeros((24, 48, 64, 3), np.uint8)
        for t in range(24):
            frames[t, 10 * i : 10 * i + 10, 2 * t : 2 * t + 10] = 255
        paths.append((f"clip {i}", write_mp4(tmp_path / f"clip{i}.mp4", frames, 12)))
    page.add_videos("Clips", paths, note="They move.", columns=3)
    written = page.write(tmp_path / "report.html")
    # the page stands alone
    for _, path in paths:
        path.unlink()
    return written


def failures(page: Page) -> list[object]:
    """What a page asked for and did not get, and what it complained of."""
    found: list[object] = []
    for event in page.events:
        method, told = event["method"], event["params"]
        answered = method == "Network.responseReceived" and told["response"]["status"] >= 400
        complained = method == "Log.entryAdded" and told["entry"]["level"] == "error"
        # a video may stop a request of its own
        lost = method == "Network.loadingFailed" and not told.get("canceled")
        if answered or complained or lost or method == "Runtime.exceptionThrown":
            found.append(told)
    return found


def start(page: Page) -> None:
    """Some videos wait until they are looked at."""
    page.run(f"{VIDEOS}.map(v => {{ v.scrollIntoView(); v.muted = true; v.play().catch(() => 0); }}).length")


def test_videos_of_a_report_play_and_show_what_moves(report: Path) -> None:
    with opened(report.as_uri()) as page:
        assert page.run(f"{VIDEOS}.length") == 3
        start(page)
        page.wait(f"{VIDEOS}.every(v => v.readyState >= 2 && v.videoWidth == 64)", 60)
        before = page.run(f"{VIDEOS}.map(v => v.currentTime)")
        page.wait(f"{VIDEOS}.every((v, i) => v.currentTime != {before}[i])", 60)
        assert page.run(f"{VIDEOS}.every(v => v.error === null && Math.abs(v.duration - 2) < 0.1)")
        first = page.run(PICTURE)
        assert first > 0
        page.wait(f"{PICTURE} != {first}", 30)
        assert failures(page) == []


def test_a_report_fits_a_phone(report: Path) -> None:
    with opened(report.as_uri(), 390, 800) as page:
        page.ask("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)
        assert page.wait("document.documentElement.scrollWidth", 10) <= 390
        assert page.run(f"{VIDEOS}.every(v => v.getBoundingClientRect().right <= 390)")


def test_a_video_that_cannot_be_played_is_noticed(report: Path) -> None:
    """What the checks above look for does happen."""
    text = report.read_text(encoding="utf-8")
    report.write_text(re.sub(r"(video/mp4;base64,)[^\"']+", r"\1AAAA", text, count=1), encoding="utf-8")
    with opened(report.as_uri()) as page:
        start(page)
        page.wait(f"{VIDEOS}.some(v => v.error)", 60)
        assert not page.run(f"{VIDEOS}.every(v => v.readyState >= 2)")
