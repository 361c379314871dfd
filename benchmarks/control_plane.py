"""A control plane whose nodes are simulated: Kubernetes' own programs, and kwok for its kubelets.

Owns: starting them, their limits, and who asks what (the audit log). Does not own: the API server
itself (`tests.support.apiserver`) or the cases (`fleet`). Invariant: all of it is on loopback, in a
network namespace of its own in which a head's address may be a black hole.

The limits are those of a large cluster, so that the operator is what is waited for: the scheduler's
default of 50 requests a second would hide it. Without the node-lifecycle controller, heartbeats
that come late on a busy machine mark no Pod NotReady. etcd doesn't wait for the disk.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import environment
from tests.support import apiserver
from tests.support import cluster as clusters

ROOT = Path(__file__).parent.parent
SYSTEM = "ray-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:kuberay-operator"
OWN, SILENT = "10.200.0.1", "10.200.0.9"
"""Our address, and one from which nothing ever comes back, not even a refusal."""
ADDRESSES = "10.64.0.0/16"
"""Of the other Pods, all our own: who listens on all addresses answers for them, else they refuse.
They aren't of 127.0.0.0/8, which no EndpointSlice may hold."""
HOLE_LABEL = "benchmark/silent"
_NAMESPACE = (
    "ip link set lo up && ip link add hole type veth peer name bottom && "
    f"ip addr add {OWN}/24 dev hole && ip link set hole up && ip link set bottom up && "
    f"ip neigh add {SILENT} lladdr 02:00:00:00:00:01 dev hole nud permanent && "
    f"ip route add local {ADDRESSES} dev lo && "
    # The mounts are our own, too: names are those that the cluster knows.
    "names=$(mktemp) && echo nameserver 127.0.0.1 > $names && "
    "mount --bind $names /etc/resolv.conf && rm $names && exec "
)
_NAMES = """\
. {
    kubernetes cluster.local {
        kubeconfig %s
        ttl 1
    }
}
"""
NODES, PODS_A_NODE = 20, 2000
PROGRAMS = ("coredns", "kubernetes", "kwok")
_INSIDE = "BENCHMARK_INSIDE"


@dataclass(frozen=True)
class ControlPlane:
    """What is running.

    Attributes:
        admin: who may do all, unlimited.
        operator: the same API for a service account, as the operator's.
    """

    admin: clusters.Cluster
    operator: clusters.Cluster
    audit: Path

    def written(self) -> int:
        """Return how many bytes the log has."""
        return self.audit.stat().st_size if self.audit.exists() else 0

    def requests(self, since: int = 0) -> Counter[str]:
        """Count the operator's requests by verb and resource, from that byte of the log on."""
        with self.audit.open("rb") as log:
            log.seek(since)
            lines = log.readlines()
        found: Counter[str] = Counter()
        for line in lines:
            entry = json.loads(line)
            if entry["stage"] == "ResponseStarted":  # of a watch, which is told of again
                continue
            about = entry.get("objectRef", {})
            parts = (entry["verb"], about.get("resource", "-"), about.get("subresource", ""))
            found[" ".join(filter(None, parts))] += 1
        return found


def enclose(*arguments: str) -> None:
    """Be in namespaces of our own, in which all ends with us; start anew in them if need be.

    `arguments` are those of `python -m benchmarks`. The operator's environment is made before.
    """
    if os.environ.get(_INSIDE):
        return
    programs(*PROGRAMS)
    environment.make()
    os.environ[_INSIDE] = "1"
    os.chdir(ROOT)
    alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [sys.executable, "-m", "benchmarks", *arguments]
    os.execvp(alone[0], [*alone, "sh", "-c", _NAMESPACE + '"$@"', "sh", *command])


@contextmanager
def running(*, names: bool = False) -> Iterator[ControlPlane]:
    """Start all of it, with CRDs and nodes; with a DNS for `names` of Services."""
    built = programs(*PROGRAMS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        audit, policy, token = folder / "audit.log", folder / "policy.yaml", secrets.token_hex(16)
        rule = {"level": "Metadata", "users": [OPERATOR], "omitStages": ["RequestReceived"]}
        policy.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "audit.k8s.io/v1",
                    "kind": "Policy",
                    "rules": [rule, {"level": "None"}],
                }
            )
        )
        groups = f'"system:serviceaccounts,system:serviceaccounts:{SYSTEM}"'
        admin = stack.enter_context(
            apiserver.running(
                built,
                f"--audit-log-path={audit}",
                f"--audit-policy-file={policy}",
                f"--advertise-address={OWN}",
                # Its taint is for the node-lifecycle controller to remove.
                "--disable-admission-plugins=TaintNodesByCondition",
                tokens=[f"{token},{OPERATOR},operator,{groups}"],
            )
        )
        _start_controllers(stack, built, admin.kubeconfig, folder)
        if names:
            corefile = folder / "Corefile"
            corefile.write_text(_NAMES % admin.kubeconfig)
            log, binary = folder / "coredns.log", str(built / "coredns")
            apiserver.start(stack, log, binary, f"-conf={corefile}")
        apiserver.install_crds(admin)
        admin.kubectl("create", "namespace", SYSTEM)
        admin.kubectl(
            *("create", "clusterrolebinding", "operator"),
            *("--clusterrole=cluster-admin", f"--user={OPERATOR}"),
        )
        for number in range(NODES):
            admin.send("POST", "/api/v1/nodes", _node(f"node-{number}"))
        kubeconfig = folder / "operator.kubeconfig"
        config = yaml.safe_load(admin.kubeconfig.read_text())
        config["users"] = [{"name": "admin", "user": {"token": token}}]
        kubeconfig.write_text(yaml.safe_dump(config))
        yield ControlPlane(admin, clusters.Cluster(kubeconfig, programs=built), audit)


def _start_controllers(stack: ExitStack, programs: Path, kubeconfig: Path, folder: Path) -> None:
    simulation = folder / "kwok.yaml"
    simulation.write_text(yaml.safe_dump_all([_OPTIONS, *_stages()]))
    limits = ("--kube-api-qps=2000", "--kube-api-burst=4000", "--leader-elect=false")
    started = {
        "kube-controller-manager": (
            *("--controllers=*,-node-lifecycle-controller", *limits),
            *("--concurrent-endpoint-syncs=5", "--concurrent-gc-syncs=20"),
        ),
        "kube-scheduler": limits,
        "kwok": ("--manage-all-nodes=true", f"--cidr={ADDRESSES}", f"--config={simulation}"),
    }
    for name, flags in started.items():
        secure = () if name == "kwok" else (f"--secure-port={apiserver.free_ports(1)[0]}",)
        own = (f"--kubeconfig={kubeconfig}", *flags, *secure)
        apiserver.start(stack, folder / f"{name}.log", str(programs / name), *own)


def _node(name: str) -> dict[str, object]:
    size = {"cpu": "4000", "memory": "16Ti", "pods": str(PODS_A_NODE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": size, "capacity": size},
    }


def _stages() -> Iterator[dict[str, object]]:
    """Yield what becomes of Pods: up at once, at an address of their own or at the silent one."""
    for name, operator, address in (
        ("reachable", "DoesNotExist", _ADDRESS),
        ("silent", "Exists", SILENT),
    ):
        yield _stage(
            f"pod-ready-{name}",
            [
                {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                {"key": ".status.podIP", "operator": "DoesNotExist"},
                {"key": f'.metadata.labels["{HOLE_LABEL}"]', "operator": operator},
            ],
            {"statusTemplate": _READY % address},
        )
    yield _stage(
        "pod-delete",
        [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}],
        {"finalizers": {"empty": True}, "delete": True},
    )


_OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {"podPlayStageParallelism": 64},
}
"""By default four Pods at a time come up, and who waits is started twice when a watch begins anew,
with another address, on which the controllers and the operator have to act again."""
_ADDRESS = (
    "{{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) .metadata.uid .metadata.name"
    " .metadata.namespace }}"
)
_READY = """\
{{ $now := Now }}
conditions:
{{ range $type := list "Initialized" "Ready" "ContainersReady" "PodReadyToStartContainers" }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
hostIP: 127.0.0.1
podIP: %s
phase: Running
startTime: {{ $now | Quote }}
"""


def _stage(
    name: str, expressions: list[dict[str, object]], following: dict[str, object]
) -> dict[str, object]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": expressions},
            "next": following,
        },
    }


def programs(*names: str) -> Path:
    """Build those that aren't built yet; return the folder of all programs."""
    build = [sys.executable, "-m", "localcluster", "build", *names]
    done = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip().splitlines()[-1])
