"""The cluster's init process: PID 1 of its namespaces.

Owns every component's process: starts them in order, restarts what dies, reaps orphans, reports.
Deliberately decides nothing about what runs (`components`) nor about the host's side
(`supervisor`). Invariant: when this process ends, for whatever reason, the kernel ends every
process, mount and link of the cluster; when it ends by request or because the supervisor died, the
control groups are gone too.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import select
import signal
import subprocess
import sys
import time
import traceback

from localcluster import cgroups, components, enclosure, paths, probes, topology

_BACKOFF_SECONDS = 10.0
_STABLE_SECONDS = 60.0
_TICK_SECONDS = 0.15
_OPEN_FILES = 1048576


@dataclasses.dataclass
class Run:
    """The changing side of one component; `pid` is None while it does not run."""

    component: components.Component
    pid: int | None = None
    restarts: int = 0
    started: float = 0.0
    not_before: float = 0.0
    last_exit: str = ""

    @property
    def state(self) -> str:
        """Summarize as `components.State` spells it."""
        if self.pid is not None:
            return "Running"
        return "Crashed" if self.last_exit else "Waiting"


class Init:
    """Supervises the components until it is told to stop or the supervisor's pipe closes."""

    def __init__(
        self,
        cluster: paths.Cluster,
        table: tuple[components.Component, ...],
        *,
        lifeline: int,
        listener: int,
    ) -> None:
        self._cluster = cluster
        self._runs = [Run(component) for component in table]
        self._lifeline = lifeline
        self._listener = listener
        self._stopping = False
        self._answered: set[str] = set()

    def run(self) -> None:
        """Supervise until stopped; then leave nothing behind."""
        wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        while not self._stopping:
            changed = self._reap() | self._start_due()
            if changed:
                self._report()
            waiting = any(run.pid is None for run in self._runs)
            timeout = _TICK_SECONDS if waiting else None
            ready, _, _ = select.select([self._lifeline, wakeup_read], [], [], timeout)
            if self._lifeline in ready:
                self._stopping = True
            if wakeup_read in ready:
                os.read(wakeup_read, 4096)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start_due(self) -> bool:
        changed = False
        now = time.monotonic()
        for run in self._runs:
            if run.pid is None and now >= run.not_before and self._may_start(run):
                self._start(run)
                changed = True
        return changed

    def _may_start(self, run: Run) -> bool:
        for probe in run.component.after:
            if probe not in self._answered:
                if not probes.answers(probe):
                    return False
                self._answered.add(probe)
        return True

    def _start(self, run: Run) -> None:
        component = run.component
        log = str(self._cluster.log / f"{component.name}.log")
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        if component.inherits_listener:
            actions.append((os.POSIX_SPAWN_DUP2, self._listener, components.GATEWAY_DESCRIPTOR))
        run.pid = os.posix_spawn(
            component.argv[0],
            component.argv,
            component.environment(os.environ),
            file_actions=actions,
            setsid=True,
            setsigdef=[signal.SIGPIPE],
        )
        run.started = time.monotonic()

    def _reap(self) -> bool:
        changed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return changed
            if pid == 0:
                return changed
            for run in self._runs:
                if run.pid == pid:
                    self._note_exit(run, os.waitstatus_to_exitcode(status))
                    changed = True

    def _note_exit(self, run: Run, code: int) -> None:
        now = time.monotonic()
        lived = now - run.started
        run.pid = None
        run.last_exit = f"exit {code}" if code >= 0 else signal.Signals(-code).name
        run.restarts = run.restarts + 1 if lived < _STABLE_SECONDS else 1
        run.not_before = now + min(0.5 * 2 ** (run.restarts - 1), _BACKOFF_SECONDS)

    def _report(self) -> None:
        state: dict[str, components.State] = {
            run.component.name: {
                "state": run.state,
                "pid": run.pid,
                "restarts": run.restarts,
                "last_exit": run.last_exit,
            }
            for run in self._runs
        }
        target = self._cluster.components_state
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps(state, indent=1))
        partial.replace(target)


def kill_everything() -> None:
    """Kill and reap every other process of this PID namespace."""
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def drop_stale_containers(cluster: paths.Cluster, node: topology.Node) -> None:
    """Forget the containers that a former run of the cluster left in containerd's database.

    Images stay. containerd is started for it alone, without the CRI plugin: that would have loaded
    the stale sandboxes into memory.
    """
    if not cluster.containerd_root(node.name).exists():
        return
    socket = f"/run/upkeep-{node.name}.sock"
    config = str(cluster.config / f"upkeep-{node.name}.toml")
    daemon = subprocess.Popen(
        ["containerd", "--config", config, "-l", "error"], stdin=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            if probes.unix_accepts(socket):
                break
            time.sleep(0.05)
        ctr = ["ctr", "--address", socket, "--namespace", "k8s.io", "containers"]
        listed = subprocess.run([*ctr, "list", "-q"], check=True, capture_output=True, text=True)
        stale = listed.stdout.split()
        if stale:
            subprocess.run([*ctr, "rm", *stale], check=True, stdout=subprocess.DEVNULL)
    finally:
        daemon.terminate()
        daemon.wait()


def prepare(cluster: paths.Cluster, nodes: tuple[topology.Node, ...]) -> None:
    """Set up everything that components expect to find."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    enclosure.enter_root(cluster)
    enclosure.set_up_network(nodes)
    cgroups.create(cluster.control_group, tuple(node.name for node in nodes))
    for node in nodes:
        cluster.pod_logs(node.name).mkdir(parents=True, exist_ok=True)
        drop_stale_containers(cluster, node)


def main(name: str, tools: pathlib.Path, *, lifeline: int, listener: int, lock: int) -> None:
    """Be the init process of cluster `name`; the three numbers are inherited descriptors.

    `lifeline` closes when the supervisor ends; `listener` is the host's socket for the API server;
    `lock` is held, never used: it tells others that this process lives.
    """
    for descriptor in (lifeline, listener, lock):
        os.set_inheritable(descriptor, False)
    cluster = paths.Cluster(name)
    nodes = topology.nodes()
    try:
        prepare(cluster, nodes)
        table = components.table(cluster, nodes, tools)
        Init(cluster, table, lifeline=lifeline, listener=listener).run()
    except Exception:  # noqa: BLE001 - the last frame of PID 1: report, then clean up
        traceback.print_exc()
    finally:
        kill_everything()
        cgroups.remove(cluster.control_group)
        sys.stderr.flush()
