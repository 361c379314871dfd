"""Running other programs for the launcher.

Owns how a child process is started, watched and reported. Deliberately knows no program by name.
Invariant: a child never outlives the launcher (the kernel kills it), except where a caller says so
with `survives=True` because a half-done run would be worse.
"""

import collections.abc
import ctypes
import functools
import os
import pathlib
import signal
import subprocess
import tempfile

from localcluster import errors, progress

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_TAIL_LINES = 25

# Kills all of a build's processes and drops all of its mounts with one process.
CONTAINED = (
    *("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"),
    "--",
)


def die_with_parent(sig: int = signal.SIGKILL) -> None:
    """Have the kernel send `sig` to this process when its parent ends; for use after fork."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)


def run(
    *argv: str | os.PathLike[str],
    env: collections.abc.Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
    step: progress.Step | None = None,
    survives: bool = False,
) -> str:
    """Run a program to its end and return its combined output.

    Args:
        argv: program and arguments.
        env: variables added to the launcher's own.
        cwd: folder to run in.
        step: shows the latest line of output as its detail.
        survives: let the program finish when the launcher is killed.

    Raises:
        errors.LocalClusterError: the program is missing or failed; names it and shows its tail.
    """
    line = [os.fspath(word) for word in argv]
    with tempfile.TemporaryFile() as file:
        try:
            process = subprocess.Popen(
                line,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                # A survivor must not depend on a pipe that ends with the launcher.
                stdout=file if survives else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=survives,
                preexec_fn=None if survives else die_with_parent,
            )
        except FileNotFoundError as missing:
            reason = f"{line[0]} is not installed or not on PATH"
            raise errors.LocalClusterError(reason) from missing
        if survives:
            process.wait()
            file.seek(0)
            output = file.read().decode(errors="replace")
        else:
            output = _collect(process, step=step)
    if process.returncode != 0:
        raise errors.LocalClusterError(failure(line, process.returncode, output))
    return output


def _collect(process: subprocess.Popen[bytes], *, step: progress.Step | None) -> str:
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for raw in process.stdout:
            text = raw.decode(errors="replace")
            lines.append(text)
            if step is not None and text.strip():
                step.detail = text.strip()
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return "".join(lines)


def failure(line: collections.abc.Sequence[str], code: int, output: str) -> str:
    """Describe a failed program by its command, exit code and the tail of its output."""
    shown = " ".join(line)
    if len(shown) > 300:
        shown = shown[:300] + " …"
    tail = "\n    ".join(output.rstrip().splitlines()[-_TAIL_LINES:])
    return f"command failed (exit {code}): {shown}\n    {tail}"


def succeeds(*argv: str) -> bool:
    """Tell whether a program exists, ends with 0 and does so within ten seconds."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


contained = functools.partial(run, *CONTAINED)
