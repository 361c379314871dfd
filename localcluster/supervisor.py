"""The cluster's process on the host's side.

Owns the namespaces' life, the outbound network (slirp4netns) and the listening socket for the API
server. Deliberately starts no component (`bundle`, inside, does). Invariant: it holds the
supervisor lock from its first to its last moment, and so does the init process; when the lock is
free, nothing of the cluster runs.

Rejected: a veth pair to the host, with NAT. It needs forwarding and a rule on the host, and an
address that might collide; slirp4netns and one loopback socket need neither.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

from localcluster import cgroups, commands, paths, processes, topology

_STOP_PATIENCE_SECONDS = 20.0
_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")


class _Stop(Exception):
    """Raised in the main flow by SIGTERM."""


def main(name: str, tools: pathlib.Path, *, listener: int) -> int:
    """Run cluster `name` until SIGTERM or the end of its init process.

    `listener` is an inherited descriptor: the socket on the host's loopback.
    """
    cluster = paths.Cluster(name)
    lock = os.open(cluster.supervisor_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another supervisor of this cluster lives", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _on_term)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    lifeline_read, lifeline_write = os.pipe()
    _record(cluster)
    init = _start_init(cluster, tools, lifeline=lifeline_read, listener=listener, lock=lock)
    os.close(lifeline_read)
    try:
        with contextlib.suppress(_Stop):
            _watch(cluster, init)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.close(lifeline_write)
        _end(init)
        cgroups.remove(cluster.control_group)
    return 0


def _on_term(_signal: int, _frame: types.FrameType | None) -> None:
    raise _Stop


def _record(cluster: paths.Cluster, **others: processes.Identity) -> None:
    known = {"supervisor": processes.identity(os.getpid()), **others}
    partial = cluster.supervisor_record.with_suffix(".partial")
    content = {role: identity._asdict() for role, identity in known.items() if identity}
    partial.write_text(json.dumps(content))
    partial.replace(cluster.supervisor_record)


def _start_init(
    cluster: paths.Cluster, tools: pathlib.Path, *, lifeline: int, listener: int, lock: int
) -> subprocess.Popen[bytes]:
    """Start init in new namespaces; it gets descriptors for `lifeline`, `listener` and `lock`."""
    inner = [
        *(sys.executable, "-m", "localcluster", "--name", cluster.name, "init"),
        *("--tools", str(tools), "--lifeline", str(lifeline)),
        *("--listener", str(listener), "--lock", str(lock)),
    ]
    return subprocess.Popen(
        ["unshare", *_NAMESPACES, "--mount-proc", "--", *inner],
        stdin=subprocess.DEVNULL,
        pass_fds=(lifeline, listener, lock),
        start_new_session=True,
    )


def _watch(cluster: paths.Cluster, unshare: subprocess.Popen[bytes]) -> None:
    """Keep slirp4netns running until init ends."""
    init = _await_child(unshare)
    identity = processes.identity(init) if init else None
    if init is None or identity is None:
        return
    _record(cluster, init=identity)
    slirp: subprocess.Popen[bytes] | None = None
    try:
        while unshare.poll() is None:
            if slirp is None or slirp.poll() is not None:
                if slirp is not None:
                    time.sleep(1)  # it failed: no hot loop
                slirp = _start_slirp(init)
            _sleep_until_child_changes()
    finally:
        if slirp is not None:
            slirp.kill()
            slirp.wait()


def _await_child(unshare: subprocess.Popen[bytes]) -> int | None:
    """Find the PID, in this namespace, of the init process that `unshare` forks."""
    while unshare.poll() is None:
        children = processes.children(unshare.pid)
        if children:
            return children[0]
        time.sleep(0.02)
    return None


def _start_slirp(init: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *commands.DIES_WITH_PARENT,
            *("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"),
            *(str(init), topology.OUTSIDE_LINK),
        ],
        stdin=subprocess.DEVNULL,
    )


def _sleep_until_child_changes() -> None:
    """Block until a child ends, without reaping it."""
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)


def _end(unshare: subprocess.Popen[bytes]) -> None:
    """Wait for init, which ends by itself when the lifeline closes; then insist."""
    try:
        unshare.wait(_STOP_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        unshare.kill()  # takes init along (--kill-child), and the kernel all the rest
        unshare.wait()
