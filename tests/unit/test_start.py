"""An operator that is told to end while it starts ends."""

import signal
import subprocess
import sys

PROGRAM = """
import sys
from ray_operator import start
slow = {"asyncio", "kopf", "pydantic", "ray_operator.__main__"} & sys.modules.keys()
assert not slow, slow

class Told:
    def find_spec(self, name, *_):
        if name == "ray_operator.__main__":
            import os, signal
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("it goes on")

sys.meta_path.insert(0, Told())
start.main()
"""


def test_sigterm_is_answered_before_anything_slow_is_imported() -> None:
    # The first process of a container has no default answer: only a handler of its own.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
