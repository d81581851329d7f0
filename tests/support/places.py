"""Where things lie: the repository, and the shared data outside it."""

import os
from pathlib import Path

#: the checkout that is tested
ROOT = Path(__file__).resolve().parents[2]
#: what several tests share, also with processes that they start
SUPPORT = ROOT / "tests" / "support"
#: what only some machines have: recorded tensors, real recordings; tests skip without it
SHARED = Path(os.environ.get("MUTOSCOPE_SHARED", ROOT.parent / "shared"))
