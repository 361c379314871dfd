"""The operator as its image has it: no packages of tests, and compiled beforehand.

Owns: making that environment. Does not own: running what is in it. Invariant: it holds the source
of now. The tests' own environment would not do: kopf imports whatever Kubernetes clients it finds,
which alone are 15 MiB.
"""

import os
import platform
import re
import subprocess
from pathlib import Path

from localcluster import topology

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".tools/runtime"
PYTHON = FOLDER / "bin/python"
_PACKAGE = "ray-operator"
_ON = "BENCHMARK_ON"


def machine() -> str:
    """Name what a result is of: CPUs, memory, versions, and the commit as it was installed."""
    return os.environ.get(_ON) or _machine()


def _machine() -> str:
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    told = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return (
        f"{os.cpu_count()} x {cpu[1] if cpu else platform.machine()},"
        f" {int(memory[1]) / 2**20 if memory else 0:.0f} GiB, Python"
        f" {platform.python_version()}, Kubernetes {topology.KUBERNETES_VERSION}, {commit}"
    )


def make() -> None:
    """Install the locked packages and the source, as the Dockerfile does.

    Programs that are started from now on, in this process's place too, name this commit.
    """
    uv = next(ROOT.glob(".tools/uv-*/bin/uv"))
    flags = ("--frozen", "--no-dev", "--no-editable", "--compile-bytecode", "--quiet")
    subprocess.run(
        [str(uv), "sync", *flags, f"--reinstall-package={_PACKAGE}"],
        cwd=ROOT,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(FOLDER)},
        check=True,
    )
    os.environ[_ON] = _machine()
