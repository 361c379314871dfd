"""The control groups of one cluster.

Owns one top-level group a cluster (`paths` names it) in every hierarchy (v1) or the unified one
(v2), and all beneath it; Pods live there, a subtree a node. Deliberately leaves processes that
aren't in it alone.
Invariant: after `remove` no group and no process in it is left; it may run from inside the cluster
(its dying init) and from outside (the next command).
"""

import contextlib
import os
import pathlib
import signal
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def is_unified(root: pathlib.Path = ROOT) -> bool:
    """Tell cgroup v2 from v1."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: pathlib.Path = ROOT) -> tuple[pathlib.Path, ...]:
    """List the mounted hierarchies: one with v2, one a controller with v1 (links left out)."""
    if is_unified(root):
        return (root,)
    return tuple(
        path
        for path in sorted(root.iterdir())
        if path.is_dir() and not path.is_symlink() and (path / "cgroup.procs").exists()
    )


def create(group: str, nodes: tuple[str, ...], root: pathlib.Path = ROOT) -> None:
    """Make a group for each node, with every controller that a kubelet needs usable in it."""
    for hierarchy in hierarchies(root):
        top = hierarchy / group
        for path in (top, *(top / node for node in nodes)):
            path.mkdir(exist_ok=True)
            if is_unified(root):
                _delegate(path.parent)
            else:
                _inherit_cpuset(path)
    if is_unified(root):
        for node in nodes:
            _delegate(root / group / node)


def _delegate(path: pathlib.Path) -> None:
    available = (path / "cgroup.controllers").read_text().split()
    for controller in _V2_CONTROLLERS:
        if controller in available:
            (path / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(path: pathlib.Path) -> None:
    """Copy the parent's CPUs: v1 starts a cpuset empty, and then no process may enter it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (path / name).exists():
            (path / name).write_text((path.parent / name).read_text())


def remove(group: str, root: pathlib.Path = ROOT, patience_seconds: float = 10.0) -> bool:
    """Kill what still runs in the cluster's groups, then remove them; tell whether none is left."""
    deadline = time.monotonic() + patience_seconds
    while True:
        tops = [h / group for h in hierarchies(root)]
        present = [top for top in tops if top.exists()]
        for top in present:
            _kill(top)
            _remove_tree(top)
        if not any(top.exists() for top in present):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def present(group: str, root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """List the top-level groups of the cluster that exist."""
    return [path for h in hierarchies(root) if (path := h / group).exists()]


def _kill(top: pathlib.Path) -> None:
    for procs in top.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            for pid in procs.read_text().split():
                if int(pid) > 0:  # 0: a process that this PID namespace cannot see
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)


def _remove_tree(top: pathlib.Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
