"""``study``: pages that do not tell whose a clip is, and counts that only take what was asked."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mutoscope.cli.commands import run_command
from mutoscope.formats.video import read_video, write_mp4
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.study import make_study, tally


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bright clips of ours, dark ones of theirs, so that one can see whose a clip is."""
    root = tmp_path_factory.mktemp("study")
    for name, level in (("ours", 220), ("theirs", 30)):
        (root / name).mkdir()
        for i in range(12):
            write_mp4(root / name / f"clip{i}.mp4", np.full((4, 32, 32, 3), level + i, np.uint8), 8)
    return root / "ours", root / "theirs"


@pytest.fixture
def study(folders: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    page, key = make_study(*folders, tmp_path / "study.html", seed=0)
    return page, key


def asked(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', page.read_text(), re.S)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def answers(page: Path, key: Path, path: Path, person: str, prefer: str, wrong: int = 0) -> Path:
    """Somebody prefers one side's clips, but for some."""
    pairs = json.loads(key.read_text())["pairs"]
    chosen = []
    for i, pair in enumerate(pairs):
        wanted = prefer if i >= wrong else "ba"["ab".index(prefer)]
        chosen.append({"pair": i, "choice": "left" if pair["left"] == wanted else "right", "seconds": 1.0})
    path.write_text(json.dumps({"study": asked(page)["id"], "person": person, "answers": chosen}))
    return path


def test_the_page_holds_all_pairs_and_tells_nothing_of_whose_they_are(
    study: tuple[Path, Path], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    page, key = study
    text, pairs = page.read_text(), json.loads(key.read_text())["pairs"]
    assert len(pairs) == 12
    assert not re.search(r"ours|theirs|clip\d", text)
    assert "https://" not in text
    assert "http://" not in text
    sides = [pair["left"] for pair in pairs]
    assert {"a", "b"} == set(sides)
    # the key is right: our clips are bright
    for pair, films in zip(pairs, asked(page)["pairs"], strict=True):
        (tmp_path / "film.mp4").write_bytes(base64.b64decode(films["left"]))
        assert (read_video(tmp_path / "film.mp4")[0].mean() > 128) == (pair["left"] == "a")


def test_answers_are_counted_with_intervals(study: tuple[Path, Path], tmp_path: Path) -> None:
    page, key = study
    files = [answers(page, key, tmp_path / f"{i}.json", f"p{i}", "a", wrong=i) for i in range(4)]
    found = tally(key, files)
    assert (found.for_a, found.for_b, found.people) == (42, 6, 4)
    low, high = stats.binomtest(42, 48).proportion_ci(0.95, method="wilson")
    assert found.interval == (low, high)
    assert found.by_people is not None
    assert 0.75 <= found.by_people[0] < found.share < found.by_people[1] <= 1
    assert found.p_value < 1e-6
    assert found.by_pair["clip0"] == (1, 3)
    assert tally(key, files[:2]).by_people is None
    assert run_command("study", ["tally", str(key), *map(str, files)]) == 0


def test_nobody_who_guesses_prefers_anything(study: tuple[Path, Path], tmp_path: Path) -> None:
    page, key = study
    files = [answers(page, key, tmp_path / f"{i}.json", f"p{i}", "ab"[i % 2]) for i in range(4)]
    found = tally(key, files)
    assert found.share == 0.5
    assert found.p_value == 1


def test_what_cannot_be_counted_is_refused(
    study: tuple[Path, Path], folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, key = study
    good = answers(page, key, tmp_path / "good.json", "p", "a")
    with pytest.raises(ConfigError, match=r"again\.json and .*good\.json hold answers of the same person"):
        tally(key, [good, answers(page, key, tmp_path / "again.json", "p", "b")])
    other = make_study(*folders, tmp_path / "other.html", seed=1)
    with pytest.raises(ConfigError, match="answers another study"):
        tally(other[1], [good])
    with pytest.raises(ConfigError, match="There are no answers"):
        tally(key, [])
    for wrong in ([{"pair": 99, "choice": "left"}], [{"pair": 0, "choice": "up"}], [{"pair": True}], "none", [3]):
        content = json.loads(good.read_text()) | {"answers": wrong, "person": "q"}
        (tmp_path / "bad.json").write_text(json.dumps(content))
        with pytest.raises(ConfigError, match=r"bad\.json holds an answer that none of the pairs"):
            tally(key, [tmp_path / "bad.json"])
    twice = json.loads(good.read_text())
    twice["answers"].append(twice["answers"][0])
    (tmp_path / "twice.json").write_text(json.dumps(twice))
    with pytest.raises(ConfigError, match=r"twice\.json holds an answer"):
        tally(key, [tmp_path / "twice.json"])
    for text in ("", "[]", "{}"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.json is no file of a study"):
            tally(key, [tmp_path / "bad.json"])
    (tmp_path / "few").mkdir()
    write_mp4(tmp_path / "few" / "another.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8)
    with pytest.raises(ConfigError, match="no names in common, so there are no pairs"):
        make_study(folders[0], tmp_path / "few", tmp_path / "x.html")
    assert run_command("study", [str(folders[0]), str(tmp_path / "nothing")]) == 1
    assert "There is no folder or file" in capsys.readouterr().err
