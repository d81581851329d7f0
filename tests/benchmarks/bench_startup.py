"""CPU seconds until a command answers, in fresh processes: mistakes, ``--help`` and the import of the package.

``importing`` answers as if sources could not be read: everything that a config names is imported first.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence

COMMANDS: dict[str, Sequence[str]] = {
    "wrong setting": ("train", "+model.lerning_rate=1"),
    "wrong value": ("train", "model.ema_half_life=x"),
    "wrong model name": ("train", "model=sagcn"),
    "missing folder": ("train", "dataset=human36m", "dataset.root=absent"),
    "unlike kinds": ("train", "model=ag2vid", "dataset=toy_motion"),
    "meaningless setting": ("train", "model=ag2vid", "dataset=toy_blocks", "model.frames=null", "model.weights.flow=1"),
    "missing checkpoint": ("evaluate", "checkpoint=absent"),
    "no checkpoint": ("train", "ckpt=."),
    "wrong word": ("evaluate", "checkpoint=absent", "reference=nothing"),
    "missing weights": ("train", "model=ag2vid", "dataset=toy_blocks", "model.frames.perceptual_weights=absent"),
    "--help": ("train", "--help"),
}
RUN = """
import json, sys
import mutoscope.cli.main as cli
reading, *typed = json.loads(sys.argv[1])
if not reading:
    cli.check_early = lambda *_: None
sys.argv = ["mutoscope", *typed]
cli.main()
"""


def cpu_seconds(code: str, *arguments: str) -> float:
    """Of one process and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print(f"{'':20} {'reading':>8} {'importing':>10}  CPU seconds, best of {repeats}")
    for name, typed in COMMANDS.items():
        best = {True: float("inf"), False: float("inf")}
        for _ in range(repeats):
            for reading in best:
                best[reading] = min(best[reading], cpu_seconds(RUN, json.dumps([reading, *typed])))
        print(f"{name:20} {best[True]:8.2f} {best[False]:10.2f}")
    for code in ("import mutoscope", "import torch", "import pytorch_lightning"):
        print(f"{code:20.20} {min(cpu_seconds(code) for _ in range(repeats)):8.2f}")


if __name__ == "__main__":
    main()
