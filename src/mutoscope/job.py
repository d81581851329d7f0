"""One training from a run directory that holds its resolved config: ``python -m mutoscope.job RUN_DIR``."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from mutoscope.console import first_process, say
from mutoscope.formats.files import replacing
from mutoscope.jobs import RESULT


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, so that no rank hangs on a dead partner."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_result(run_dir: Path, outcome: dict[str, Any]) -> None:
    if first_process():
        with replacing(run_dir / RESULT) as temporary:
            temporary.write_text(json.dumps(outcome))


def main() -> int:
    """Train; write ``result.json`` with the objective or the error."""
    from mutoscope.train import train

    _end_with_parent()
    run_dir = Path(sys.argv[1])
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    try:
        objective = train(config, run_dir)
    except KeyboardInterrupt:
        _write_result(run_dir, {"error": "interrupted"})
        return 130
    except Exception as error:
        if config.get("debug"):
            raise
        sentence = " ".join(str(error).split()) or type(error).__name__
        _write_result(run_dir, {"error": sentence})
        say(f"error: {sentence}")
        return 1
    _write_result(run_dir, {"objective": objective})
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
