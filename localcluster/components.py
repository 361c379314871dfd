"""The programs that make up the cluster, and how each is started.

Owns their command lines, start conditions and environment; pure. Deliberately runs nothing
(`bundle` does). Invariant: a component may be killed and started again at any time with the same
command line.
"""

import collections.abc
import dataclasses
import pathlib
import typing

from localcluster import paths, topology

# Reserved by the init process for what the gateway inherits.
GATEWAY_DESCRIPTOR = 3
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"}
_ETCD = "http://127.0.0.1:2379"


@dataclasses.dataclass(frozen=True)
class Component:
    """One long-running program.

    Attributes:
        name: unique; names the log file too.
        argv: absolute program path and arguments.
        after: start only when these probes answer: `unix:PATH`, or `https://…` answering 200.
        pulls: keeps the host's proxy settings; all others only talk to each other.
        inherits_listener: gets the host's listening socket as `GATEWAY_DESCRIPTOR`.
    """

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    pulls: bool = False
    inherits_listener: bool = False

    def environment(self, base: collections.abc.Mapping[str, str]) -> dict[str, str]:
        """Derive the program's variables from the init process' own."""
        if self.pulls:
            return dict(base)
        return {name: value for name, value in base.items() if name.lower() not in _PROXIES}


class State(typing.TypedDict):
    """What the init process reports of a component.

    `state` is Running, Waiting (never started yet) or Crashed; `pid` counts as init counts.
    """

    state: str
    pid: int | None
    restarts: int
    last_exit: str


API_READY = f"https://{topology.API_ADDRESS}:{topology.API_PORT}/readyz"


def table(
    cluster: paths.Cluster, nodes: tuple[topology.Node, ...], tools: pathlib.Path
) -> tuple[Component, ...]:
    """List all components in start order; `tools` holds the programs built from Go modules."""
    api_host = f"{topology.API_ADDRESS}:{topology.API_PORT}"
    return (
        *(_containerd(cluster, node) for node in nodes),
        _etcd(cluster, tools),
        _apiserver(cluster, tools),
        Component("gateway", (str(tools / "gateway"), api_host), inherits_listener=True),
        _controller_manager(cluster, tools),
        _scheduler(cluster, tools),
        *(_kubelet(cluster, node, tools) for node in nodes),
        _kube_proxy(cluster, tools),
    )


def _containerd(cluster: paths.Cluster, node: topology.Node) -> Component:
    config = cluster.config / f"containerd-{node.name}.toml"
    argv = ("/usr/bin/containerd", "--config", str(config), "--log-level", "warn")
    return Component(f"containerd-{node.name}", argv, pulls=True)


def _etcd(cluster: paths.Cluster, tools: pathlib.Path) -> Component:
    # Without fsync: the data need not survive the machine, and the disk may be slow.
    argv = (
        *(str(tools / "etcd"), "--data-dir", str(cluster.run / "etcd"), "--unsafe-no-fsync"),
        *("--log-level", "warn", "--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD),
        *("--listen-peer-urls", "http://127.0.0.1:2380", "--quota-backend-bytes", "4294967296"),
        *("--auto-compaction-retention", "1"),
    )
    return Component("etcd", argv)


def _apiserver(cluster: paths.Cluster, tools: pathlib.Path) -> Component:
    pki = cluster.pki
    flags = {
        "etcd-servers": _ETCD,
        "bind-address": topology.API_ADDRESS,
        "advertise-address": topology.API_ADDRESS,
        "secure-port": topology.API_PORT,
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "service-account-key-file": pki / "sa.key",
        "service-account-signing-key-file": pki / "sa.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-cluster-ip-range": topology.SERVICE_CIDR,
        "authorization-mode": "Node,RBAC",
        "kubelet-client-certificate": pki / "apiserver-kubelet.crt",
        "kubelet-client-key": pki / "apiserver-kubelet.key",
        "kubelet-certificate-authority": pki / "ca.crt",
        "kubelet-preferred-address-types": "InternalIP",
        "allow-privileged": "true",
        "audit-policy-file": cluster.config / "audit-policy.yaml",
        "audit-log-path": cluster.audit_log,
        "audit-log-mode": "blocking",
        "audit-log-maxsize": 200,
        "audit-log-maxbackup": 2,
        "profiling": "false",
        # The fairness queues of a big server would throttle bursts on two cores.
        "max-requests-inflight": 800,
        "max-mutating-requests-inflight": 400,
    }
    return Component("kube-apiserver", (str(tools / "kube-apiserver"), *_flags(flags)))


def _controller_manager(cluster: paths.Cluster, tools: pathlib.Path) -> Component:
    flags = {
        "kubeconfig": cluster.config / "controller-manager.kubeconfig",
        "service-account-private-key-file": cluster.pki / "sa.key",
        "root-ca-file": cluster.pki / "ca.crt",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "profiling": "false",
        "bind-address": "127.0.0.1",
        # Two busy cores may starve a kubelet's heartbeat; evicting Pods for it helps nobody.
        "node-monitor-grace-period": "120s",
    }
    argv = (str(tools / "kube-controller-manager"), *_flags(flags))
    return Component("kube-controller-manager", argv, after=(API_READY,))


def _scheduler(cluster: paths.Cluster, tools: pathlib.Path) -> Component:
    flags = {
        "kubeconfig": cluster.config / "scheduler.kubeconfig",
        "leader-elect": "false",
        "profiling": "false",
        "bind-address": "127.0.0.1",
    }
    argv = (str(tools / "kube-scheduler"), *_flags(flags))
    return Component("kube-scheduler", argv, after=(API_READY,))


def _kubelet(cluster: paths.Cluster, node: topology.Node, tools: pathlib.Path) -> Component:
    flags = {
        "config": cluster.config / f"kubelet-{node.name}.yaml",
        "kubeconfig": cluster.config / f"{node.name}.kubeconfig",
        "hostname-override": node.name,
        "node-ip": node.address,
        "root-dir": cluster.kubelet_root(node.name),
        "cert-dir": cluster.kubelet_root(node.name) / "pki",
        # cAdvisor's sampling of every container: a debugging aid, not needed each 10 s.
        "housekeeping-interval": "30s",
    }
    argv = (str(tools / "kubelet"), *_flags(flags))
    after = (API_READY, f"unix:{node.containerd_socket}")
    return Component(f"kubelet-{node.name}", argv, after=after)


def _kube_proxy(cluster: paths.Cluster, tools: pathlib.Path) -> Component:
    config = f"--config={cluster.config / 'kube-proxy.yaml'}"
    return Component("kube-proxy", (str(tools / "kube-proxy"), config), after=(API_READY,))


def _flags(flags: dict[str, object]) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in flags.items())
