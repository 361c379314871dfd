"""Decoding of the RayJobs that a RayCronJob made.

Owns: which of their fields it reads. Does not own: finding them (`resources`). Invariant: one whose
annotation is broken is still a run, of an unknown tick.
"""

from datetime import datetime

import msgspec

from ray_operator import conditions, names, wire
from ray_operator.raycronjob import observed


class _Status(msgspec.Struct, rename="camel"):
    job_deployment_status: str = ""
    job_status: str = ""
    end_time: datetime | None = None


class _RayJob(msgspec.Struct):
    metadata: wire.Metadata
    status: _Status = msgspec.field(default_factory=_Status)


_RAY_JOB = msgspec.json.Decoder(_RayJob)


def run(data: bytes) -> observed.Run:
    """Decode a RayJob's JSON.

    Raises:
        msgspec.DecodeError: it is no RayJob.
    """
    decoded = _RAY_JOB.decode(data)
    metadata, status = decoded.metadata, decoded.status
    return observed.Run(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        created_at=metadata.creation_timestamp,
        tick=conditions.moment(metadata.annotations.get(names.TICK_ANNOTATION, "")),
        phase=status.job_deployment_status,
        job_status=status.job_status,
        ended_at=status.end_time,
        is_going=metadata.deletion_timestamp is not None,
    )
