"""How what a RayJob makes, changes and deletes is told of.

Owns: event and condition reasons. Does not own: any object. Source: KubeRay 1.7, events of RayJobs.
"""

from ray_operator import actions

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
