"""The RayCluster that a RayJob makes for an attempt.

Owns: its manifest. Does not own: when it is made (`decide`), or the Pods in it (`raycluster`).
Invariant: its spec is the RayJob's as of its creation; queueing systems rewrite that until then.
Source: KubeRay 1.7, RayClusters of RayJobs.
"""

from typing import Any

from ray_operator import names, ownership, settings
from ray_operator.api import rayjob as api
from ray_operator.rayjob import sidecar


def manifest(job: api.RayJob, *, name: str, options: settings.Settings) -> dict[str, Any]:
    """Return the cluster of that name; the spec must have one."""
    assert job.spec.ray_cluster_spec is not None
    spec = job.spec.ray_cluster_spec.dump()
    annotations = ownership.copied_annotations(job)
    if job.spec.submission_mode == "SidecarMode":
        spec = sidecar.joined(job, name, spec, options=options)
        annotations[names.KEEP_HEAD_ANNOTATION] = "true"
    labels = {
        **job.metadata.labels,
        **ownership.origin(job),
        names.SUBMISSION_MODE_LABEL: job.spec.submission_mode,
    }
    metadata = ownership.metadata(job, name=name, labels=labels, annotations=annotations)
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata, "spec": spec}
