"""What the user sees while a long step runs.

Owns the terminal output of steps. Deliberately knows nothing of what the steps do. Invariant: a
step that lasts prints a line at least every ten seconds, with the time since it began.
"""

import collections.abc
import contextlib
import sys
import threading
import time

INTERVAL_SECONDS = 10.0


def say(text: str) -> None:
    """Print one line to stderr; stdout is kept for what scripts read (paths, names)."""
    print(f"[localcluster] {text}", file=sys.stderr, flush=True)


class Step:
    """One running step; `detail` is shown in its next line."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.began = time.monotonic()

    @property
    def elapsed(self) -> str:
        """Format the time since the step began."""
        return f"{time.monotonic() - self.began:.0f} s"

    def line(self) -> str:
        """Format the line that tells the step still runs."""
        detail = f": {self.detail[-100:]}" if self.detail else ""
        return f"{self.title} … {self.elapsed}{detail}"


@contextlib.contextmanager
def step(title: str) -> collections.abc.Iterator[Step]:
    """Announce `title`, report every ten seconds until the block ends, then say how it went."""
    current = Step(title)
    done = threading.Event()

    def report() -> None:
        while not done.wait(INTERVAL_SECONDS):
            say(current.line())

    say(f"{title} …")
    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield current
    except BaseException:
        say(f"{title} FAILED after {current.elapsed}")
        raise
    else:
        say(f"{title}: done in {current.elapsed}")
    finally:
        done.set()
        reporter.join()
