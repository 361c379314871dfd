"""The samples: which there are, and which of them a plain cluster can run.

Owns: finding them, and reading what they say they need. Does not own: applying them. Invariant: a
sample with a line `# Needs: …` in front needs what the local cluster hasn't, and is only ever shown
to the API server.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "samples"
ALL = sorted(FOLDER.rglob("*.yaml"))
_NEEDS = re.compile(r"^# Needs: (.+)\.$", re.MULTILINE)


def needs(sample: Path) -> str:
    """Tell what a cluster must have for the sample; empty when any will do."""
    found = _NEEDS.search(sample.read_text())
    return found[1] if found else ""


def runnable(stem: str) -> list[Path]:
    """Return the samples of that kind, such as `ray-job`, that any cluster can run."""
    return [each for each in ALL if re.match(rf"{stem}[.-]", each.name) and not needs(each)]
