"""``study``: a page that asks people which of two clips they prefer, without telling whose they are, and the tally."""

import base64
import hashlib
import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mutoscope.data.anybody import ClipSet, Cut, Reader, find_clips
from mutoscope.formats.video import write_mp4
from mutoscope.render.page.report import POLICY
from mutoscope.render.page.templating import asset, rendered
from mutoscope.render.people import for_people
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing

#: pairs of a page at most: people tire, and browsers hold it all
MOST_PAIRS = 60
_LEVEL = 0.95


@dataclass(frozen=True)
class Tally:
    """What people answered.

    Args:
        a, b: folders that were compared.
        people: whose answers were counted.
        for_a, for_b: answers in favour of either.
        share: of answers in favour of ``a``.
        interval: 95 % of the share, answers taken as independent (Wilson).
        by_people: 95 % of the share, people drawn again (bootstrap); ``None`` below three people.
        p_value: of so uneven an outcome if nobody could tell (binomial, two-sided).
        by_pair: by name of the pair, answers in favour of ``a`` and of ``b``.
    """

    a: str
    b: str
    people: int
    for_a: int
    for_b: int
    share: float
    interval: tuple[float, float]
    by_people: tuple[float, float] | None
    p_value: float
    by_pair: Mapping[str, tuple[int, int]]

    def __str__(self) -> str:
        low, high = self.interval
        over = ""
        if self.by_people is not None:
            over = f"; over people {self.by_people[0]:.1%} to {self.by_people[1]:.1%}"
        return (
            f"{self.a} was preferred to {self.b} in {self.for_a} of {self.for_a + self.for_b} answers of {self.people} "
            f"people: {self.share:.1%} (95 %: {low:.1%} to {high:.1%} over answers{over}), p = {self.p_value:.2g}."
        )


def make_study(
    a: str | Path,
    b: str | Path,
    out: str | Path,
    question: str = "Which clip looks more real?",
    seed: int | None = None,
) -> list[Path]:
    """Write a page with pairs of clips of two folders, and the key to it, which stays with whoever asks.

    Clips of the same name make a pair; where names differ, clips are paired in their order. Which side is whose is
    drawn, and stands in the key alone: all clips are written anew, without names.

    Args:
        a, b: folders or files of videos, as for ``evaluate``.
        out: the page, ``.html``; the key lies beside it as ``<name>_key.json``.
        question: that people are asked.
        seed: of the draw of sides and of pairs, where there are more than fit; at random by default.

    Returns:
        The page and the key.

    Raises:
        ConfigError: for what holds no videos, or clips that differ in size, length or rate.
    """
    sets = [find_clips(path) for path in (a, b)]
    for clips in sets:
        if clips.kind != "video":
            raise ConfigError(f"{clips.root} holds motions; people are shown videos. Render them first.")
    generator = np.random.default_rng(seed if seed is not None else secrets.randbits(64))
    pairs = _pairs(sets[0], sets[1], generator)
    reader = Reader(Cut())
    frames = [
        [values for _, values in reader.read(clips.chosen([pair[side] for pair in pairs]), f"Reading {clips.root}")]
        for side, clips in enumerate(sets)
    ]
    fps = reader.fps or 8.0
    shown: list[dict[str, str]] = []
    key: list[dict[str, str]] = []
    for number, (i, j) in enumerate(pairs):
        left = int(generator.integers(2))
        films = [_film(frames[side][number].permute(0, 2, 3, 1).numpy(), fps) for side in (0, 1)]
        shown.append({"left": films[left], "right": films[1 - left]})
        name = sets[0].clips[i].name
        other = sets[1].clips[j].name
        key.append({"pair": name if name == other else f"{name} and {other}", "left": "ab"[left], "right": "ba"[left]})
    identity = hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]
    page = Path(out)
    html = rendered(
        "study",
        policy=POLICY,
        title="Which of two?",
        question=question,
        css=asset("report.css"),
        script=asset("study.js"),
        data={"id": identity, "pairs": shown},
    )
    solution = {"study": identity, "question": question, "a": str(a), "b": str(b), "pairs": key}
    written = [page, page.with_name(f"{page.stem}_key.json")]
    for path, text in zip(written, (f"{html}\n", json.dumps(solution, indent=2)), strict=True):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    say(f"Wrote {page} with {len(pairs)} pairs, to be sent to people, and {written[1]}, which is to be kept from them.")
    return written


def _pairs(a: ClipSet, b: ClipSet, generator: np.random.Generator) -> list[tuple[int, int]]:
    names = {clip.name: i for i, clip in enumerate(b.clips)}
    found = [(i, names[clip.name]) for i, clip in enumerate(a.clips) if clip.name in names]
    if not found:
        if len(a.clips) != len(b.clips):
            raise ConfigError(
                f"{a.root} has {len(a.clips)} clips and {b.root} {len(b.clips)}, and no names in common, so there are "
                "no pairs; give clips that belong together the same name."
            )
        found = [(i, i) for i in range(len(a.clips))]
    if len(found) > MOST_PAIRS:
        say(f"Of {len(found)} pairs {MOST_PAIRS} are drawn.")
        found = [found[i] for i in sorted(generator.permutation(len(found))[:MOST_PAIRS])]
    return found


def _film(frames: Any, fps: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = write_mp4(Path(folder) / "clip.mp4", for_people(np.ascontiguousarray(frames)), fps)
        return base64.b64encode(path.read_bytes()).decode()


def tally(key: str | Path, answers: Sequence[str | Path]) -> Tally:
    """Count returned answers.

    Args:
        key: that :func:`make_study` wrote.
        answers: files that people saved.

    Raises:
        ConfigError: for files of another study or of none, the same person's answers twice, or no answer at all.
    """
    solution = _json(Path(key), ("study", "a", "b", "pairs"))
    if not answers:
        raise ConfigError(f"There are no answers to {key}; name the files that people saved.")
    votes: list[list[tuple[int, bool]]] = []
    known: dict[str, Path] = {}
    for path in map(Path, answers):
        content = _json(path, ("study", "person", "answers"))
        if content["study"] != solution["study"]:
            raise ConfigError(f"{path} answers another study than that of {key}.")
        person = str(content["person"])
        if person in known:
            raise ConfigError(f"{path} and {known[person]} hold answers of the same person; leave one out.")
        known[person] = path
        votes.append(_votes(content["answers"], solution["pairs"], path))
    every = [vote for one in votes for vote in one]
    if not every:
        raise ConfigError("None of the files holds an answer.")
    for_a = sum(vote for _, vote in every)
    test = stats.binomtest(for_a, len(every))
    low, high = test.proportion_ci(_LEVEL, method="wilson")
    by_pair = {
        entry["pair"]: (sum(v for p, v in every if p == i), sum(not v for p, v in every if p == i))
        for i, entry in enumerate(solution["pairs"])
    }
    share = for_a / len(every)
    people = _over_people(votes)
    found = Tally(
        solution["a"],
        solution["b"],
        len(votes),
        for_a,
        len(every) - for_a,
        share,
        (low, high),
        people,
        test.pvalue,
        by_pair,
    )
    say(str(found))
    return found


def _votes(answers: Any, pairs: Sequence[Mapping[str, str]], path: Path) -> list[tuple[int, bool]]:
    """Pairs, and whether ``a`` was chosen."""
    found: dict[int, bool] = {}
    for answer in answers if isinstance(answers, list) else [None]:
        content: dict[str, Any] = answer if isinstance(answer, dict) else {}
        number, choice = content.get("pair"), content.get("choice")
        if not isinstance(number, int) or isinstance(number, bool) or choice not in ("left", "right"):
            number = -1
        if not 0 <= number < len(pairs) or number in found:
            raise ConfigError(f"{path} holds an answer that none of the pairs can have got: {str(answer)[:80]}.")
        found[number] = pairs[number][str(choice)] == "a"
    return list(found.items())


def _over_people(votes: Sequence[Sequence[tuple[int, bool]]]) -> tuple[float, float] | None:
    """Interval of the share by drawing people again: answers of one person are alike."""
    if len(votes) < 3:
        return None
    counts = np.array([[sum(vote for _, vote in one), len(one)] for one in votes])
    picks = np.random.default_rng(0).integers(len(votes), size=(2000, len(votes)))
    drawn = counts[picks].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / np.maximum(drawn[:, 1], 1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _json(path: Path, needed: Sequence[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no file of a study ({' '.join(str(error).split())}).") from None
    if not isinstance(content, dict) or any(name not in content for name in needed):
        raise ConfigError(f"{path} is no file of a study; expected {', '.join(needed)} in it.")
    return content
