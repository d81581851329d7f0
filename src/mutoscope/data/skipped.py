"""What cannot be used is left out, counted and listed, and never ends a preparation."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutoscope.runtime.console import say
from mutoscope.runtime.files import replacing


@dataclass(frozen=True)
class Skipped:
    """Something that cannot be used.

    Args:
        name: what it is.
        reason: in a few words, the same for all with this defect.
        detail: one or two sentences.
    """

    name: str
    reason: str
    detail: str


def by_reason(skipped: Sequence[Skipped]) -> str:
    """``3 no avi file, 1 wrong number of frames``: what was left out, most frequent reason first."""
    return ", ".join(f"{count} {reason}" for reason, count in Counter(s.reason for s in skipped).most_common())


def tell_skipped(skipped: Sequence[Skipped], dataset: str, report: Path, what: str = "videos") -> None:
    """Say how many videos (or else ``what``) of a dataset are left out, if any, and list them in ``report``."""
    if skipped:
        with replacing(report) as temporary:
            temporary.write_text("".join(f"{s.name}\t{s.reason}\t{s.detail}\n" for s in skipped), encoding="utf-8")
        say(f"{dataset}: {len(skipped)} {what} are left out ({by_reason(skipped)}), see {report}.")
