"""The container beside the head that submits in SidecarMode.

Owns: its manifest, and what the head Pod needs for it. Does not own: what the submitter is told
(`submission`). Invariant: it talks to the head of its own Pod and to no other; that Pod's
containers aren't started again, so that no second head gets the job.
Source: KubeRay 1.7, SidecarMode.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import features, names, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.raycluster import containers
from ray_operator.rayjob import state as states
from ray_operator.rayjob import submission, submitter_job

_PORT = 8265


def joined(
    job: api.RayJob, cluster: str, spec: Mapping[str, Any], *, options: settings.Settings
) -> dict[str, Any]:
    """Return the cluster's spec with the container in its head's template."""
    head = dict(spec["headGroupSpec"])
    template = dict(head["template"])
    pod = dict(template["spec"])
    pod["containers"] = [*pod["containers"], _container(job, cluster, options)]
    pod["restartPolicy"] = "Never"
    template["spec"] = pod
    return {**spec, "headGroupSpec": {**head, "template": template}}


def may_restart(options: settings.Settings) -> bool:
    """Tell whether the container is started again when it fails."""
    return features.Feature.SIDECAR_SUBMITTER_RESTART in options.feature_gates


def _container(job: api.RayJob, cluster: str, options: settings.Settings) -> dict[str, Any]:
    spec = job.spec
    assert spec.ray_cluster_spec is not None
    model = cluster_api.RayCluster.model_validate(
        {
            "metadata": {"name": cluster, "namespace": job.metadata.namespace},
            "spec": spec.ray_cluster_spec,
        }
    )
    head = spec.ray_cluster_spec.head_group_spec.ray_container
    job_id = states.of(job).job_id
    told = submission.variables(model, address=f"127.0.0.1:{port(head)}", job_id=job_id)
    more = [] if may_restart(options) else ["--wait"]
    container = {
        "name": names.SUBMITTER,
        "image": head.get("image"),
        "resources": submitter_job.RESOURCES,
        **containers.LAST_WORDS,
        **submission.command(job, spec, more, options=options),
        "env": told,
    }
    if head.get("securityContext"):
        container["securityContext"] = head["securityContext"]
    if may_restart(options):
        container["restartPolicy"] = "OnFailure"
    return container


def port(head: Mapping[str, Any]) -> int:
    """Return the dashboard's port as the Ray container declares it."""
    declared = head.get("ports") or []
    found = (each["containerPort"] for each in declared if each.get("name") == "dashboard")
    return next(found, _PORT)
