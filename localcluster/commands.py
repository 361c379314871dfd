"""Running other programs for the launcher.

Owns how a child process is started, watched and reported. Deliberately knows no program by name.
Invariant: a child never outlives the launcher (the kernel kills it), except where a caller says so
with `survives=True` because a half-done run would be worse.
"""

import collections.abc
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

from localcluster import errors, progress

# Runs a program that the kernel kills as soon as the thread that started it ends. A `preexec_fn`
# would do the same, but may deadlock in a process with threads.
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
_TAIL_LINES = 25

# Kills all of a build's processes and drops all of its mounts with one process.
CONTAINED = (
    *("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"),
    "--",
)


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
    if shutil.which(line[0]) is None:
        raise errors.LocalClusterError(f"{line[0]} is not installed or not on PATH")
    environment = {**os.environ, **(env or {})}
    if survives:
        code, output = _run_detached(line, environment, cwd)
    else:
        process = start(*line, env=environment, cwd=cwd)
        output = _collect(process, step=step)
        code = process.returncode
    if code != 0:
        raise errors.LocalClusterError(failure(line, code, output))
    return output


def start(
    *argv: str,
    env: collections.abc.Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program that dies with the calling thread; its combined output is a pipe."""
    return subprocess.Popen(
        [*DIES_WITH_PARENT, *argv],
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _run_detached(
    line: list[str], env: collections.abc.Mapping[str, str], cwd: pathlib.Path | None
) -> tuple[int, str]:
    """Run a program whose output goes to a file: a pipe would break with the launcher."""
    with tempfile.TemporaryFile() as file:
        done = subprocess.run(
            line,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
        file.seek(0)
        return done.returncode, file.read().decode(errors="replace")


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
