"""RayJobs: manifests, waiting for their ends, and a count of driver starts outside any head.

Owns: valid objects with keyword overrides, and waits that fail at once when the end is another.
Does not own: clusters (`ray`). Invariant: a driver that starts leaves a line where no head's end
can take it away.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.support import cluster as clusters
from tests.support import ray

END = timedelta(minutes=5)
ENDED = ("Complete", "Failed", "Suspended", "ValidationFailed")


def ray_job(
    name: str,
    entrypoint: str = "echo hello from the driver",
    *,
    mode: str = "K8sJobMode",
    on: str = "",
    workers: int = 0,
    cluster: Mapping[str, Any] | None = None,
    **spec: Any,
) -> clusters.Json:
    """Return a RayJob on the cluster named `on`, else on a small one of its own."""
    if on:
        where: dict[str, Any] = {"clusterSelector": {"ray.io/cluster": on}}
    else:
        made = ray.ray_cluster(workers=workers, **(cluster or {}))["spec"]
        if not workers and not (cluster or {}).get("groups"):
            made["workerGroupSpecs"] = []
        where = {"rayClusterSpec": made}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": name},
        "spec": {"entrypoint": entrypoint, "submissionMode": mode, **where, **spec},
    }


def status(cluster: clusters.Cluster, namespace: str, name: str) -> clusters.Json:
    """Return the status, empty when there is none."""
    found: clusters.Json = (cluster.get("rayjobs", namespace, name) or {}).get("status", {})
    return found


def wait_phase(
    cluster: clusters.Cluster,
    namespace: str,
    name: str,
    phase: str,
    *,
    job: str = "",
    within: timedelta = END,
) -> clusters.Json:
    """Wait for that `jobDeploymentStatus`, and `jobStatus` if given; return the status.

    Another end than the one that is waited for is an error at once.
    """

    def reached() -> clusters.Json | None:
        found = status(cluster, namespace, name)
        here = found.get("jobDeploymentStatus", "")
        if here == phase and (not job or found.get("jobStatus") == job):
            return found
        is_over = (here in ENDED and phase in ENDED) or here in {"Complete", "Failed"}
        if is_over and here != phase:
            raise clusters.TimedOut(f"RayJob {name} is {here}, not {phase}: {found}")
        return None

    what = f"RayJob {name} {phase} {job}"
    return cluster.wait(reached, within=within, what=what, namespace=namespace)


def finished(
    cluster: clusters.Cluster, namespace: str, name: str, *, within: timedelta = END
) -> tuple[str, str, str]:
    """Wait for an end; return `jobDeploymentStatus`, `jobStatus` and `reason`."""

    def ended() -> tuple[str, str, str] | None:
        found = status(cluster, namespace, name)
        here = found.get("jobDeploymentStatus", "")
        fields = (here, found.get("jobStatus", ""), found.get("reason", ""))
        return fields if here in {"Complete", "Failed"} else None

    return cluster.wait(ended, within=within, what=f"the end of RayJob {name}", namespace=namespace)


def logs(cluster: clusters.Cluster, namespace: str, name: str) -> str:
    """Return what `kubectl logs -l job-name=…` shows of the submitter."""
    where = ("-n", namespace, "logs", f"--selector=job-name={name}", "--tail=-1")
    return cluster.kubectl(*where)
