"""Which metric sees what, on clips that this draws itself: ``make metrics_see``.

Writes ``media/metrics_see.png`` and ``.svg``, and prints the table of ``metrics.md``. By default networks are small and
their weights drawn, which takes a minute: their numbers are called ``smoke/...``. With ``--presets`` metrics look
through published networks that are on this machine, or with ``--presets smoke`` through those networks with drawn
weights; both take hours of one core.

    python docs/metrics_see.py [--presets [smoke]] [--draws 4] [--clips 12] [--out docs/media]
"""

import argparse
import sys
from pathlib import Path

import torch
from torchmetrics import Metric

import mutoscope as ms
from mutoscope.config.presets import with_presets
from mutoscope.data.sampling import clips_of
from mutoscope.evaluators.metrics import Provided, build_metrics
from mutoscope.evaluators.sensitivity import sensitivity, small_metrics
from mutoscope.metrics.common import AbsentMetric
from mutoscope.render.sensitivity_map import draw_sensitivity
from mutoscope.structures import DatasetInfo

MEDIA = Path(__file__).parent / "media"
#: frames of a clip
LENGTH = 12
_PRESETS = ("fid", "kid_all", "precision", "recall", "fvd_16f", "kvd", "lpips_alex", "psnr", "ssim", "warping_error")


def published(weights: str | None, info: DatasetInfo) -> dict[str, Metric]:
    """The presets through published networks; those without weights are left out, aloud."""
    nodes = with_presets({"metrics": {name: f"standard/{name}" for name in _PRESETS}})["metrics"]
    changed = {"weights": weights} if weights else {}
    for node in nodes.values():
        node |= {key: value for key, value in {**changed, "frames": LENGTH}.items() if key in node}
    built = build_metrics(nodes, Provided(info))
    return {name: metric for name, metric in built.items() if not isinstance(metric, AbsentMetric)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="?", const="published", choices=("published", "smoke"))
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--clips", type=int, default=12, help="of either side")
    parser.add_argument("--out", type=Path, default=MEDIA)
    asked = parser.parse_args()
    wanted = 2 * asked.clips
    data = ms.dataset("wsprites", characters=wanted, videos=1, frames=LENGTH, length=LENGTH, shrink=2)
    clips = clips_of(data, "train", limit=wanted + asked.clips)
    metrics = published("smoke" if asked.presets == "smoke" else None, data.info) if asked.presets else small_metrics()
    with torch.no_grad():
        found = sensitivity(clips.frames, metrics, draws=asked.draws, count=asked.clips)
    asked.out.mkdir(parents=True, exist_ok=True)
    drawn = draw_sensitivity(asked.out / "metrics_see.png", found.effects.numpy(), found.metrics, found.rows[1:])
    sys.stdout.write(f"{found.markdown()}\n\nWrote {', '.join(map(str, drawn))}.\n")


if __name__ == "__main__":
    main()
