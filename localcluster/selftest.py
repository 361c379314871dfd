"""The lifecycle promises, tried for real: `python -m localcluster --name NAME selftest`.

Owns the scenarios (repeated `down && up`, every process killed, `up` killed at several moments) and
the search for leftovers. Deliberately tests neither Kubernetes nor images. Invariant: it refuses a
cluster that already runs, and leaves its own one down.
"""

import collections.abc
import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

from localcluster import cgroups, errors, lifecycle, paths, processes, progress

_KILL_UP_AFTER_SECONDS = (0.4, 1.0, 2.0, 3.0, 5.0, 8.0)
_GONE_SECONDS = 15.0


def run(cluster: paths.Cluster) -> None:
    """Run all scenarios.

    Raises:
        errors.LocalClusterError: a promise was broken; tells which.
    """
    if lifecycle.is_running(cluster):
        raise errors.LocalClusterError("this cluster runs; give `selftest` a --name of its own")
    links = links_now()
    _up(cluster)
    for _ in range(3):
        _expect_gone(cluster, lambda: _command(cluster, "down"), "down", links)
        _up(cluster)
    for victims in (("supervisor",), ("init",), ("supervisor", "init")):
        kill = functools.partial(_kill, cluster, victims)
        _expect_gone(cluster, kill, f"kill -9 {victims}", links)
        _up(cluster)
    _expect_restart(cluster, "etcd")
    _expect_restart(cluster, "kubelet-node-2")
    _expect_restart(cluster, "containerd-node-1")
    for seconds in _KILL_UP_AFTER_SECONDS:
        _command(cluster, "down")
        _kill_up_after(cluster, seconds)
        _up(cluster)
    _expect_gone(cluster, lambda: _command(cluster, "down"), "down", links)
    progress.say("selftest passed")


def links_now() -> set[str]:
    """List the host's network links."""
    return {entry.name for entry in pathlib.Path("/sys/class/net").iterdir()}


def mounts_beneath(mountinfo: str, folder: pathlib.Path) -> list[str]:
    """List the mount points in a mountinfo that lie in `folder`."""
    points = [line.split()[4] for line in mountinfo.splitlines()]
    return [point for point in points if pathlib.Path(point).is_relative_to(folder)]


def members(cluster: paths.Cluster) -> list[processes.Identity]:
    """List every process of a running cluster, on both sides of its namespaces."""
    init = lifecycle.init_pid(cluster)
    recorded = lifecycle.recorded(cluster)
    outside = [recorded["supervisor"].pid, *processes.children(recorded["supervisor"].pid)]
    namespace = os.readlink(f"/proc/{init}/ns/pid")
    inside = [pid for pid in processes.all_pids() if _namespace(pid) == namespace]
    return [one for pid in {*outside, *inside} if (one := processes.identity(pid))]


def _namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _expect_gone(
    cluster: paths.Cluster,
    act: collections.abc.Callable[[], None],
    title: str,
    links: set[str],
) -> None:
    """Act, then expect that soon no process, mount, link or control group is left."""
    known = members(cluster)
    act()
    deadline = time.monotonic() + _GONE_SECONDS
    while left := _left(cluster, known, links, title):
        if time.monotonic() > deadline:
            raise errors.LocalClusterError(f"after {title}: left over: {left}")
        time.sleep(0.1)
    progress.say(f"selftest: {title}: {len(known)} processes, nothing left")


def _left(
    cluster: paths.Cluster, known: list[processes.Identity], links: set[str], title: str
) -> list[str]:
    mountinfo = pathlib.Path("/proc/self/mountinfo").read_text()
    left = [f"process {one.pid}" for one in known if processes.is_alive(one)]
    left += [f"mount {point}" for point in mounts_beneath(mountinfo, cluster.base)]
    left += [f"link {name}" for name in links_now() - links]
    # With both killed at once nobody was there to remove empty groups: the next command does.
    if "supervisor" not in title or "init" not in title:
        left += [f"control group {path}" for path in cgroups.present(cluster.control_group)]
    return left


def _kill(cluster: paths.Cluster, roles: tuple[str, ...]) -> None:
    recorded = lifecycle.recorded(cluster)
    for role in roles:
        processes.send(recorded[role], signal.SIGKILL)


def _expect_restart(cluster: paths.Cluster, component: str) -> None:
    """Kill a component and expect it to be back, and the whole cluster ready again."""
    before = lifecycle.component_states(cluster)[component]["pid"] or 0
    namespaced = {int(_inner_pid(one.pid)): one for one in members(cluster)}
    processes.send(namespaced[before], signal.SIGKILL)
    deadline = time.monotonic() + 90
    while True:
        state = lifecycle.component_states(cluster)[component]
        if state["pid"] not in (None, before) and _is_ready(cluster):
            break
        if time.monotonic() > deadline:
            raise errors.LocalClusterError(f"{component} did not come back: {state}")
        time.sleep(1)
    progress.say(f"selftest: {component} came back")


def _inner_pid(pid: int) -> str:
    """Read a process' PID as the cluster's init sees it: second in NSpid."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
    return numbers[1] if len(numbers) > 1 else "0"


def _is_ready(cluster: paths.Cluster) -> bool:
    argv = _argv(cluster, "status")
    done = subprocess.run(argv, cwd=paths.REPOSITORY, capture_output=True, check=False)
    return done.returncode == 0


def _kill_up_after(cluster: paths.Cluster, seconds: float) -> None:
    up = subprocess.Popen(
        _argv(cluster, "up", "--bare"), cwd=paths.REPOSITORY, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    up.kill()
    up.wait()
    progress.say(f"selftest: killed `up` after {seconds} s")


def _up(cluster: paths.Cluster) -> None:
    began = time.monotonic()
    _command(cluster, "up", "--bare")
    if not _is_ready(cluster):
        raise errors.LocalClusterError("`up` ended, but `status` reports a problem")
    progress.say(f"selftest: up and ready in {time.monotonic() - began:.1f} s")


def _command(cluster: paths.Cluster, *words: str) -> None:
    done = subprocess.run(
        _argv(cluster, *words), cwd=paths.REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise errors.LocalClusterError(f"`{words}` failed: {done.stderr[-2000:]}")


def _argv(cluster: paths.Cluster, *words: str) -> list[str]:
    return [sys.executable, "-m", "localcluster", "--name", cluster.name, *words]
