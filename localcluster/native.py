"""The native provider: Kubernetes from Go modules and Debian packages, no Docker engine.

Owns the order of the steps of each command. Deliberately holds no mechanism: `lifecycle`, `images`
and `loading` do the work. Invariant: every step may be interrupted; running the command again
finishes it, doing only what is not done.
"""

import pathlib
import time

from localcluster import (
    catalog,
    host,
    images,
    kubernetes,
    lifecycle,
    loading,
    paths,
    progress,
    toolchain,
    topology,
)

_READY_SECONDS = 180.0
_DNS_SECONDS = 120.0


class Native:
    """One cluster of the native provider."""

    name = "native"

    def __init__(self, cluster: paths.Cluster) -> None:
        self._cluster = cluster

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig."""
        return self._cluster.kubeconfig

    @property
    def audit_log(self) -> pathlib.Path:
        """The API server's audit log."""
        return self._cluster.audit_log

    @property
    def tools(self) -> pathlib.Path | None:
        """The folder with kubectl and helm."""
        return toolchain.tools()

    def up(self, *, bare: bool) -> None:
        """Start the cluster; build and load every image, or none beyond the cluster's own."""
        began = time.monotonic()
        host.prepare()
        toolchain.build(toolchain.KUBERNETES, toolchain.GATEWAY)
        lifecycle.start(self._cluster)
        count = len(topology.nodes())
        with progress.step(f"Waiting for the API server and {count} nodes") as step:
            lifecycle.wait_for_api(self._cluster)
            self._client.apply_system()
            kubernetes.wait_for_nodes(
                self._client, count=count, timeout_seconds=_READY_SECONDS, step=step
            )
        progress.say(f"Nodes are Ready {time.monotonic() - began:.0f} s after the start of `up`")
        self.load(catalog.infrastructure())
        with progress.step("Waiting for cluster DNS"):
            kubernetes.wait_for_dns(self._client, timeout_seconds=_DNS_SECONDS)
        if not bare:
            toolchain.build(toolchain.HELM)
            self.load(catalog.select(None))
        progress.say(f"The cluster is up: export KUBECONFIG={self.kubeconfig}")

    def down(self) -> None:
        """Stop the cluster; images and programs stay cached."""
        lifecycle.stop(self._cluster)

    def images(self, only: str | None) -> None:
        """Build and load the images of a group, or all."""
        lifecycle.init_pid(self._cluster)
        self.load(catalog.select(only))

    def load(self, wanted: tuple[catalog.Image, ...]) -> None:
        """Build what changed, then import what nodes lack."""
        images.ensure(wanted)
        loading.load(self._cluster, wanted)

    def status(self) -> bool:
        """Print the cluster's state; True when all of it is ready."""
        if not lifecycle.is_running(self._cluster):
            print("cluster: not running (`python -m localcluster up` starts it)")
            return False
        healthy = self._print_components()
        nodes = self._client.get("nodes")
        ready = kubernetes.print_nodes(nodes)
        dns = kubernetes.is_available(
            self._client.get("deployment", "coredns", "-n", "kube-system")
        )
        print(f"cluster DNS: {'available' if dns else 'NOT available'}")
        self._print_images()
        return healthy and dns and ready >= len(topology.nodes())

    def _print_components(self) -> bool:
        states = lifecycle.component_states(self._cluster)
        print("components:")
        for name, state in states.items():
            restarts = f", {state['restarts']} restarts" if state["restarts"] else ""
            last = f" (last exit: {state['last_exit']})" if state["last_exit"] else ""
            print(f"  {name}: {state['state']}{restarts}{last}")
            if state["state"] == "Crashed":
                print(lifecycle.log_tail(self._cluster, name))
        return bool(states) and all(state["state"] == "Running" for state in states.values())

    def _print_images(self) -> None:
        prefix = lifecycle.inside(self._cluster)
        print("images:")
        for node in topology.nodes():
            held = loading.loaded(self._cluster, node, prefix)
            print(f"  {node.name}: {', '.join(sorted(held)) or 'none'}")

    @property
    def _client(self) -> kubernetes.Client:
        return kubernetes.Client(str(toolchain.tools() / "kubectl"), self._cluster.kubeconfig)
