"""The kind provider: the same commands on a Docker engine.

Owns the kind cluster's configuration and the commands issued to kind and Docker. Deliberately thin:
Ray's images are the public ones, kubectl and helm are the user's. Invariant: touches only the kind
cluster of its own name.
"""

import os
import pathlib
import shutil

import yaml

from localcluster import catalog, commands, configs, errors, kubernetes, paths, progress, topology

_AUDIT_IN_NODE = "/var/log/localcluster-audit"
_POLICY_IN_NODE = "/etc/kubernetes/localcluster-audit.yaml"
_READY_SECONDS = 300.0


class Kind:
    """One cluster of the kind provider."""

    name = "kind"

    def __init__(self, cluster: paths.Cluster) -> None:
        self._cluster = cluster
        self._kind_name = f"localcluster-{cluster.name}"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig; kept apart from the user's own."""
        return self._cluster.kubeconfig

    @property
    def audit_log(self) -> pathlib.Path:
        """The API server's audit log, in a folder that the control plane's container mounts."""
        return self._cluster.audit_log

    @property
    def tools(self) -> pathlib.Path | None:
        """None: kubectl and helm are those on PATH."""
        return None

    def up(self, *, bare: bool) -> None:
        """Create the cluster if it isn't there; build and load images, unless `bare`."""
        for program in ("kind", "kubectl"):
            if shutil.which(program) is None:
                raise errors.LocalClusterError(f"a Docker engine answers, but {program} is missing")
        count = len(topology.nodes())
        if self._kind_name not in commands.run("kind", "get", "clusters").split():
            self._create()
        client = kubernetes.Client("kubectl", self.kubeconfig)
        with progress.step(f"Waiting for {count + 1} nodes") as step:
            kubernetes.wait_for_nodes(
                client, count=count + 1, timeout_seconds=_READY_SECONDS, step=step
            )
        if not bare:
            self.images(None)
        progress.say(f"The cluster is up: export KUBECONFIG={self.kubeconfig}")

    def _create(self) -> None:
        self._cluster.audit_log.parent.mkdir(parents=True, exist_ok=True)
        config = self._cluster.run / "kind.yaml"
        policy = self._cluster.run / "audit-policy.yaml"
        config.write_text(configuration(self._cluster, workers=len(topology.nodes())))
        policy.write_text(configs.audit_policy())
        argv = ("create", "cluster", "--name", self._kind_name, "--config", config)
        with progress.step("Creating the kind cluster") as step:
            commands.run("kind", *argv, "--kubeconfig", self.kubeconfig, step=step)

    def down(self) -> None:
        """Delete the cluster."""
        commands.run("kind", "delete", "cluster", "--name", self._kind_name)
        shutil.rmtree(self._cluster.run, ignore_errors=True)

    def images(self, only: str | None) -> None:
        """Build or pull images, and load them into the nodes."""
        for line in image_commands(self._kind_name, only, paths.REPOSITORY):
            with progress.step(" ".join(line)) as step:
                commands.run(*line, step=step)

    def status(self) -> bool:
        """Print the cluster's state; True when all nodes are Ready."""
        client = kubernetes.Client("kubectl", self.kubeconfig)
        return kubernetes.print_nodes(client.get("nodes")) > len(topology.nodes())


def configuration(cluster: paths.Cluster, *, workers: int) -> str:
    """Render kind's cluster configuration: auditing as with the native provider."""
    kubeadm = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": {
                "audit-policy-file": _POLICY_IN_NODE,
                "audit-log-path": f"{_AUDIT_IN_NODE}/audit.log",
                "audit-log-mode": "blocking",
                "audit-log-maxsize": "200",
                "audit-log-maxbackup": "2",
            },
            "extraVolumes": [
                _volume("policy", _POLICY_IN_NODE, "File", read_only=True),
                _volume("audit", _AUDIT_IN_NODE, "DirectoryOrCreate", read_only=False),
            ],
        },
    }
    control_plane = {
        "role": "control-plane",
        "extraMounts": [
            {"hostPath": str(cluster.audit_log.parent), "containerPath": _AUDIT_IN_NODE},
            {"hostPath": str(cluster.run / "audit-policy.yaml"), "containerPath": _POLICY_IN_NODE},
        ],
        "kubeadmConfigPatches": [yaml.safe_dump(kubeadm, sort_keys=False)],
    }
    content = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [control_plane, *({"role": "worker"} for _ in range(workers))],
    }
    return yaml.safe_dump(content, sort_keys=False)


def _volume(name: str, path: str, kind: str, *, read_only: bool) -> dict[str, str | bool]:
    return {
        "name": name,
        "hostPath": path,
        "mountPath": path,
        "pathType": kind,
        "readOnly": read_only,
    }


def image_commands(
    kind_name: str, only: str | None, repository: pathlib.Path
) -> list[tuple[str, ...]]:
    """List the commands that get the selected images onto the nodes.

    Docker's cache makes an unchanged build quick, kind skips what nodes have.
    """
    lines: list[tuple[str, ...]] = []
    for image in (*catalog.operator(repository), *catalog.ray()):
        if only not in (None, image.group):
            continue
        short = image.reference.removeprefix("docker.io/").removeprefix("library/")
        if image.group == "operator":
            recipe = os.fspath(image.recipe)
            lines.append(("docker", "build", "--tag", short, "--file", recipe, str(repository)))
        else:
            lines.append(("docker", "pull", "--quiet", short))
        lines.append(("kind", "load", "docker-image", "--name", kind_name, short))
    return lines
