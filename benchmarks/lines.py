"""What the cases print: a JSON line each, with the machine and the versions it is of.

Owns: the shape of a line. Does not own: what is measured. Invariant: every line says what it is of.
"""

import json

from benchmarks import environment


def show(case: str, **found: object) -> None:
    """Print what was found in a case."""
    print(json.dumps({"case": case, **found, "on": environment.machine()}), flush=True)
