"""What the RayJob of a tick looks like.

Owns: its manifest. Does not own: when it is made (`plan`). Invariant: equal inputs make equal
manifests, and the name tells the tick, so that a tick never has two RayJobs.
Source: KubeRay 1.7, name, label, annotation and owner; the labels of schedulers are ours, since the
template has no metadata, and a run could be put into no queue. Not all labels: tools that deploy
know their objects by labels, and would prune the RayJobs.
"""

from datetime import datetime
from typing import Any

from ray_operator import conditions, names, records
from ray_operator.api import raycronjob as api

_MINUTE_SECONDS = 60


def run(cron: api.RayCronJob, tick: datetime) -> dict[str, Any]:
    """Return the manifest of the RayJob for a tick."""
    metadata = cron.metadata
    labels = {key: value for key, value in metadata.labels.items() if _is_for_scheduling(key)}
    minute = int(tick.timestamp()) // _MINUTE_SECONDS
    return {
        "apiVersion": records.RAYJOBS.api_version,
        "kind": records.RAYJOBS.kind,
        "metadata": {
            "namespace": metadata.namespace,
            "name": names.run(metadata.name, minute),
            "labels": {**labels, names.CRON_JOB_LABEL: metadata.name},
            "annotations": {names.TICK_ANNOTATION: conditions.timestamp(tick)},
            "ownerReferences": [
                {
                    "apiVersion": records.RAYCRONJOBS.api_version,
                    "kind": records.RAYCRONJOBS.kind,
                    "name": metadata.name,
                    "uid": metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": cron.spec.job_template.dump(),
    }


def _is_for_scheduling(label: str) -> bool:
    exact = {names.KAI_QUEUE_LABEL, names.GANG_SCHEDULING_LABEL, names.PRIORITY_CLASS_LABEL}
    return label in exact or label.startswith(names.SCHEDULING_PREFIXES)
