"""What a run was made with."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def run_facts() -> dict[str, Any]:
    """What a run was made with: versions, machine, command, commit."""
    packages = ("mutoscope", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "av")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "command": json.loads(os.environ.get("MUTOSCOPE_COMMAND", "null")) or [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": {name: version(name) for name in packages},
        "commit": commit.stdout.strip() or None,
    }
