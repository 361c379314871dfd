"""The Kubernetes Job that submits in K8sJobMode, and whose Pods show the job's output.

Owns: its manifest. Does not own: what the submitter is told (`submission`), or when it is made
(`decide`). Invariant: what the user's template says stays; what it leaves out is filled in.
Source: KubeRay 1.7, submitter Job, which fills in nothing for a template of the user's.
"""

from typing import Any

from ray_operator import names, ownership, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.raycluster import auth, containers
from ray_operator.rayjob import submission
from ray_operator.rayjob.state import State

RETRIES = 2
RESOURCES = {
    "limits": {"cpu": "1", "memory": "1Gi"},
    "requests": {"cpu": "500m", "memory": "200Mi"},
}


def manifest(
    job: api.RayJob,
    spec: api.RayJobSpec,
    state: State,
    *,
    cluster: cluster_api.RayCluster,
    options: settings.Settings,
) -> dict[str, Any]:
    """Return the Job, which submits to the head that the state names and to no other."""
    labels = {**ownership.origin(job), names.CREATED_BY_LABEL: names.CREATED_BY}
    template = dict(spec.submitter_pod_template or {})
    given = dict(template.get("metadata") or {})
    config = spec.submitter_config
    retries = config.backoff_limit if config is not None else None
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": ownership.metadata(job, name=job.metadata.name, labels=labels),
        "spec": {
            "backoffLimit": RETRIES if retries is None else retries,
            "template": {
                **template,
                "metadata": {**given, "labels": {**(given.get("labels") or {}), **labels}},
                "spec": _pod_spec(job, spec, state, cluster=cluster, options=options),
            },
        },
    }


def has_own_command(spec: api.RayJobSpec) -> bool:
    """Tell whether the user's template says how to submit."""
    listed = ((spec.submitter_pod_template or {}).get("spec") or {}).get("containers") or [{}]
    return bool(listed[0].get("command"))


def _pod_spec(
    job: api.RayJob,
    spec: api.RayJobSpec,
    state: State,
    *,
    cluster: cluster_api.RayCluster,
    options: settings.Settings,
) -> dict[str, Any]:
    given = (spec.submitter_pod_template or {}).get("spec") or {}
    first, *others = given.get("containers") or [{}]
    session = state.head.session if state.head else ""
    told = submission.variables(
        cluster, address=state.dashboard_url, job_id=state.job_id, session=session
    )
    container = {
        "name": names.SUBMITTER,
        "image": cluster.spec.head_group_spec.ray_container.get("image"),
        "resources": RESOURCES,
        **containers.LAST_WORDS,
        **{key: value for key, value in first.items() if value not in (None, "")},
    }
    if not first.get("command"):
        container |= submission.command(job, spec, [], options=options)
    container = submission.with_variables(container, told)
    volumes = list(given.get("volumes") or [])
    if auth.needs_volume(cluster.spec):
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), auth.MOUNT]
        volumes.append(auth.volume())
    return {
        "restartPolicy": "Never",
        **given,
        **({"volumes": volumes} if volumes else {}),
        "containers": [container, *others],
    }
