"""What docs/journeys.md tells its readers to type, typed: the commands, and what they shall print.

Owns: reading the document, a shell that keeps variables, folder and background processes from one
block to the next, and comparing what is printed with what is promised. Does not own: what a journey
needs beforehand (`tests.e2e.test_journeys`). Invariant: no command is written in a test, so that
what readers type is what was tried.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/journeys.md"
FOLDERS = ("charts", "crds", "operator", "samples")
"""What of this repository the commands name."""
COMMANDS, PRINTED = "sh", "text"
BLOCK = timedelta(minutes=20)
"""The longest that a block of commands may take; each wait in it has a limit of its own."""
POLL_SECONDS = 0.2
_HEADING = re.compile(r"## ([A-Z])\. (.+)")
_FENCE = re.compile(r"```(\w*)")


class Step(NamedTuple):
    """A block of commands, and the lines that it promises to print; `line` is where it begins."""

    line: int
    commands: str
    printed: tuple[str, ...] = ()


class Journey(NamedTuple):
    """One chapter of the document."""

    letter: str
    title: str
    steps: tuple[Step, ...]


class Broken(AssertionError):
    """A command failed, took too long, or printed something else than was promised."""


def read(document: Path = DOCUMENT) -> dict[str, Journey]:
    """Return the journeys by their letters.

    Raises:
        ValueError: a block is of an unknown kind, has no end, or promises what no commands print.
    """
    found: dict[str, Journey] = {}
    letter = ""
    for line, kind, text in _parts(document.read_text().splitlines()):
        if heading := _HEADING.fullmatch(kind):
            letter = heading[1]
            found[letter] = Journey(letter, heading[2], ())
            continue
        steps = found[letter].steps
        if kind == COMMANDS:
            steps = (*steps, Step(line, "\n".join(text)))
        elif kind == PRINTED and steps and not steps[-1].printed:
            steps = (*steps[:-1], steps[-1]._replace(printed=tuple(text)))
        else:
            raise ValueError(f"{document.name}:{line}: a block of {kind or 'nothing'}")
        found[letter] = found[letter]._replace(steps=steps)
    return found


def _parts(lines: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Yield each heading, and each block as its first line's number, its kind and its lines."""
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        if _HEADING.fullmatch(line):
            yield number, line, []
        elif fence := _FENCE.fullmatch(line):
            text = []
            for _, inner in numbered:
                if inner == "```":
                    break
                text.append(inner)
            else:
                raise ValueError(f"line {number}: the block has no end")
            yield number, fence[1], text


def missing(promised: Iterable[str], output: str) -> str:
    """Return the first promised line that isn't in the output in its turn; empty when all are.

    `…` stands for anything; how many blanks there are doesn't matter.
    """
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for each in promised:
        parts = (re.escape(part) for part in " ".join(each.split()).split("…"))
        pattern = re.compile(".*".join(parts))
        if not any(pattern.fullmatch(line) for line in lines):
            return each
    return ""


class Shell:
    """A bash that goes on from block to block, and ends with the first command that fails."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`folder` is empty; in it the shell has what the commands name of this repository."""
        for name in FOLDERS:
            (folder / name).symlink_to(ROOT / name)
        self._notes = folder / ".shell"
        self._notes.mkdir()
        self._blocks = 0
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def type(self, commands: str, *, within: timedelta = BLOCK) -> str:
        """Run a block; return what it printed, errors too.

        Raises:
            Broken: a command failed, or they weren't done within that time.
        """
        self._blocks += 1
        block, output, done = (
            self._notes / f"{self._blocks}.{kind}" for kind in ("sh", "output", "done")
        )
        block.write_text(f"{commands}\n")
        assert self._bash.stdin is not None
        self._bash.stdin.write(f". {block} < /dev/null > {output} 2>&1; : > {done}\n")
        self._bash.stdin.flush()
        deadline = time.monotonic() + within.total_seconds()
        while not done.exists():
            printed = output.read_text(errors="replace") if output.exists() else ""
            if self._bash.poll() is not None:
                raise Broken(f"exit {self._bash.returncode}:\n{commands}\n\n{printed}")
            if time.monotonic() > deadline:
                raise Broken(f"not done within {within}:\n{commands}\n\n{printed}")
            time.sleep(POLL_SECONDS)
        return output.read_text(errors="replace")

    def close(self) -> None:
        """End the shell with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()
        if self._bash.stdin is not None:
            self._bash.stdin.close()


def walk(shell: Shell, steps: Iterable[Step]) -> list[str]:
    """Type the blocks in their order; return what each printed.

    Raises:
        Broken: a command fails, or doesn't print what is promised.
    """
    outputs = []
    for step in steps:
        began = time.monotonic()
        output = shell.type(step.commands)
        print(f"{DOCUMENT.name}:{step.line}: {time.monotonic() - began:.0f} s")
        if lacking := missing(step.printed, output):
            raise Broken(
                f"{DOCUMENT.name}:{step.line}: {lacking!r} was not printed, or not in its turn,"
                f" by\n{step.commands}\n\n{output}"
            )
        outputs.append(output)
    return outputs
