"""Start, stop and recovery of the native cluster's processes.

Owns the supervisor as seen from a command. Deliberately leaves what happens inside the namespaces
to `bundle`, and images to `images` and `loading`. Invariant: `start` first clears whatever a former
run left, in whatever state; after `stop` nothing is left.
"""

import fcntl
import hashlib
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from localcluster import (
    cgroups,
    components,
    configs,
    errors,
    paths,
    probes,
    processes,
    progress,
    toolchain,
    topology,
)

_STOP_SECONDS = 30.0
_API_SECONDS = 120.0


def is_running(cluster: paths.Cluster) -> bool:
    """Tell whether any process of the cluster's supervision lives."""
    if not cluster.supervisor_lock.exists():
        return False
    with open(cluster.supervisor_lock, "r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def fingerprint(cluster: paths.Cluster) -> str:
    """Hash how the cluster would be started now; a running one that differs is replaced."""
    nodes = topology.nodes()
    content = [repr(components.table(cluster, nodes, toolchain.tools()))]
    content += [f"{path}\0{text}" for path, text in configs.files(cluster, nodes).items()]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def start(cluster: paths.Cluster) -> None:
    """Have the cluster's processes run; keep those of an unchanged, running cluster."""
    mark = cluster.run / "fingerprint"
    if is_running(cluster) and mark.exists() and mark.read_text() == fingerprint(cluster):
        progress.say("The cluster already runs")
        return
    stop(cluster)
    cluster.log.mkdir(parents=True)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        configs.write(cluster, topology.nodes(), host_port=listener.getsockname()[1])
        _spawn_supervisor(cluster, listener)
    mark.write_text(fingerprint(cluster))


def _spawn_supervisor(cluster: paths.Cluster, listener: socket.socket) -> None:
    """Start the supervisor so that it lives on after this command."""
    argv = [sys.executable, "-m", "localcluster", "--name", cluster.name, "supervise"]
    argv += ["--tools", str(toolchain.tools()), "--listener", str(listener.fileno())]
    with open(cluster.log / "supervisor.log", "ab") as log:
        subprocess.Popen(
            argv,
            cwd=paths.REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(listener.fileno(),),
        )


def wait_for_api(cluster: paths.Cluster) -> None:
    """Wait until the API server answers on the host.

    Raises:
        errors.LocalClusterError: it doesn't in time, or the cluster died; shows the log's tail.
    """
    began = time.monotonic()
    url = f"{server(cluster)}/readyz"
    while not probes.https_is_ok(url):
        lived = time.monotonic() - began
        if lived > _API_SECONDS or (lived > 5 and not is_running(cluster)):
            raise errors.LocalClusterError(
                f"the API server does not answer at {url} after {lived:.0f} s\n"
                + "\n".join(log_tail(cluster, name) for name in ("supervisor", "kube-apiserver"))
            )
        time.sleep(0.2)


def server(cluster: paths.Cluster) -> str:
    """Read the API server's address, as seen from the host, from the kubeconfig."""
    for line in cluster.kubeconfig.read_text().splitlines():
        if line.strip().startswith("server:"):
            return line.split(":", 1)[1].strip()
    raise errors.LocalClusterError(f"{cluster.kubeconfig} names no server")


def log_tail(cluster: paths.Cluster, component: str, lines: int = 15) -> str:
    """Show the end of a component's log under its path."""
    path = cluster.log / f"{component}.log"
    if not path.exists():
        return f"  {path}: not written"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16384))
        tail = file.read().decode(errors="replace").splitlines()[-lines:]
    return "\n    ".join([f"  {path}:", *tail])


def stop(cluster: paths.Cluster) -> None:
    """End every process of the cluster and forget its state; images stay.

    Raises:
        errors.LocalClusterError: something would not end; names it.
    """
    cluster.base.mkdir(parents=True, exist_ok=True)
    if is_running(cluster):
        with progress.step("Stopping the cluster"):
            _end(cluster)
    if not cgroups.remove(cluster.control_group):
        left = ", ".join(str(path) for path in cgroups.present(cluster.control_group))
        raise errors.LocalClusterError(f"control groups can't be removed: {left}")
    cluster.supervisor_record.unlink(missing_ok=True)
    forget(cluster.run)


def forget(folder: pathlib.Path) -> None:
    """Delete a folder that holds no mount; renamed first, so that a kill leaves no half of it."""
    trash = folder.with_name(f"{folder.name}.trash")
    shutil.rmtree(trash, ignore_errors=True)
    if folder.exists():
        folder.rename(trash)
        shutil.rmtree(trash)


def _end(cluster: paths.Cluster) -> None:
    """Ask the supervisor to stop, then insist, until the lock is free."""
    began = time.monotonic()
    insisted = False
    asked: set[processes.Identity] = set()
    while is_running(cluster):
        known = recorded(cluster)
        waited = time.monotonic() - began
        supervisor = known.get("supervisor")
        if supervisor is not None and supervisor not in asked:
            processes.send(supervisor, signal.SIGTERM)
            asked.add(supervisor)
        if waited > _STOP_SECONDS and not insisted:
            for process in known.values():
                processes.send(process, signal.SIGKILL)
            insisted = True
        if waited > 2 * _STOP_SECONDS:
            raise errors.LocalClusterError(
                f"the cluster's supervision would not end; its processes: {known}"
            )
        time.sleep(0.05)


def recorded(cluster: paths.Cluster) -> dict[str, processes.Identity]:
    """Read who the supervision's processes are: `supervisor`, and `init` once it runs."""
    try:
        content = json.loads(cluster.supervisor_record.read_text())
    except (OSError, ValueError):
        return {}
    return {role: processes.Identity(**identity) for role, identity in content.items()}


def init_pid(cluster: paths.Cluster) -> int:
    """Give the PID, on the host, of the cluster's init process.

    Raises:
        errors.LocalClusterError: the cluster doesn't run.
    """
    init = recorded(cluster).get("init")
    if init is None or not processes.is_alive(init):
        raise errors.LocalClusterError("the cluster doesn't run: `python -m localcluster up`")
    return init.pid


def component_states(cluster: paths.Cluster) -> dict[str, components.State]:
    """Read what the init process last wrote about its components."""
    try:
        states: dict[str, components.State] = json.loads(cluster.components_state.read_text())
    except (OSError, ValueError):
        return {}
    return states


def inside(cluster: paths.Cluster) -> tuple[str, ...]:
    """Give the command prefix that runs a program in the cluster's mount and network namespaces."""
    return ("nsenter", "--target", str(init_pid(cluster)), "--mount", "--net", "--")
