"""What all objects that a RayJob makes have in common.

Owns: their labels of origin, owner and namespace, and how one is told of. Does not own: any object.
Source: KubeRay 1.7, labels of what a RayJob makes.
"""

from collections.abc import Mapping
from typing import Any

from ray_operator import actions, names, records
from ray_operator.api import rayjob as api

CLUSTER = actions.Reasons("CreatedRayCluster", "FailedToCreateRayCluster", "FailedCreateRayCluster")
CLUSTER_DELETED = actions.Reasons(
    "DeletedRayCluster", "FailedToDeleteRayCluster", "FailedDeleteRayCluster"
)
CLUSTER_UPDATED = actions.Reasons(
    "UpdatedRayCluster", "FailedToUpdateRayCluster", "FailedUpdateRayCluster"
)
SUBMITTER = actions.Reasons(
    "CreatedRayJobSubmitter", "FailedToCreateRayJobSubmitter", "FailedCreateRayJobSubmitter"
)
SUBMITTER_DELETED = actions.Reasons(
    "DeletedRayJobSubmitter", "FailedToDeleteRayJobSubmitter", "FailedDeleteRayJobSubmitter"
)
SERVICE = actions.Reasons("CreatedService", "FailedToCreateService", "FailedCreateService")
SERVICE_UPDATED = actions.Reasons("UpdatedService", "FailedToUpdateService", "FailedUpdateService")
HEAD_NOTED = actions.Reasons("NotedHead", "FailedToNoteHead", "FailedNoteHead")
FINALIZER = actions.Reasons("AddedFinalizer", "FailedToAddFinalizer", "FailedAddFinalizer")
RELEASE = actions.Reasons("RemovedFinalizer", "FailedToRemoveFinalizer", "FailedRemoveFinalizer")
SELF_DELETED = actions.Reasons("DeletedRayJob", "FailedToDeleteRayJob", "FailedDeleteRayJob")


def origin(job: api.RayJob) -> dict[str, str]:
    """Return the labels that say which RayJob an object comes from."""
    return {
        names.ORIGIN_NAME_LABEL: job.metadata.name,
        names.ORIGIN_KIND_LABEL: records.RAYJOBS.kind,
    }


def metadata(job: api.RayJob, *, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of an object that the RayJob controls."""
    return {
        "name": name,
        "namespace": job.metadata.namespace,
        "labels": dict(labels),
        "ownerReferences": [
            {
                "apiVersion": job.api_version,
                "kind": job.kind,
                "name": job.metadata.name,
                "uid": job.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
