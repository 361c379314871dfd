"""The only gRPC client of Ray: what a head's GCS (global control service) knows and is told.

Owns: the channel to one GCS, its calls and their errors. Does not own: the messages (`wire_gcs`),
when to call (`pollers`, `scaling`) or what follows from an answer. Invariant: every failure leaves
as a `RayError`; nothing is retried here, and no state of one GCS is ever sent to another.

There is no dependency on Ray itself: the calls are plain gRPC, with our own trimmed copy of the
messages (`protos`). Another call is one more line of `_call` and its messages there.
Source: Ray, AutoscalerStateService and JobInfoGcsService; the same from 2.9 to 2.60.
"""

import enum
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from ray_operator import errors, metrics, ray_records, scaling_records, wire_gcs
from ray_operator.protos import autoscaler_pb2 as pb
from ray_operator.protos import jobs_pb2

SERVICE = "ray.rpc.autoscaler.AutoscalerStateService"
JOBS = "ray.rpc.JobInfoGcsService"
INTERNAL_NAMESPACE = "_ray_internal_"
"""How the namespaces of Ray's own drivers begin, such as the dashboard's."""
DEADLINE = timedelta(seconds=5)
"""Of one call: a GCS answers in milliseconds."""

# No keepalive: a GCS of 2.60 punishes pings by GOAWAY, and pings us itself.
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5000),
)
_NO_ANSWER = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


class Reason(enum.Enum):
    """Why a node is drained: an idle one leaves at once or not at all, another when it is done."""

    IDLE = pb.DRAIN_NODE_REASON_IDLE_TERMINATION
    PREEMPTION = pb.DRAIN_NODE_REASON_PREEMPTION


class _Message(Protocol):
    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


T = TypeVar("T")


class Gcs:
    """Calls of one GCS. All raise `RayError`; `close` must follow."""

    def __init__(self, host: str, port: int, *, token: str | None = None) -> None:
        """`host` is an address or a name, `token` what Ray's token authentication expects."""
        shown = f"[{host}]" if ":" in host else host
        self._channel = grpc.aio.insecure_channel(f"{shown}:{port}", options=_OPTIONS)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        await self._channel.close()

    async def resource_state(self, *, within: timedelta = DEADLINE) -> ray_records.ResourceState:
        """Return all nodes, dead ones that are remembered too, and what there is no room for."""
        reply = await self._call(
            "GetClusterResourceState",
            pb.GetClusterResourceStateRequest(),
            pb.GetClusterResourceStateReply.FromString,
            within=within,
        )
        return wire_gcs.state(reply.cluster_resource_state, at=datetime.now(UTC))

    async def drivers(self) -> scaling_records.Drivers:
        """Return how many drivers are connected, Ray's own aside."""
        reply = await self._call(
            "GetAllJobInfo",
            jobs_pb2.GetAllJobInfoRequest(
                skip_submission_job_info_field=True, skip_is_running_tasks_field=True
            ),
            jobs_pb2.GetAllJobInfoReply.FromString,
            service=JOBS,
        )
        jobs = [
            each
            for each in reply.job_info_list
            if not each.config.ray_namespace.startswith(INTERNAL_NAMESPACE)
        ]
        return scaling_records.Drivers(
            at=datetime.now(UTC),
            count=sum(not each.is_dead for each in jobs),
            last_ended_ms=max((each.end_time for each in jobs if each.is_dead), default=0),
        )

    async def report(self, said: scaling_records.Report, *, now: datetime) -> None:
        """Tell what is made of the demand, for `ray status` and the dashboard."""
        request = pb.ReportAutoscalingStateRequest(autoscaling_state=wire_gcs.report(said, now=now))
        await self._call(
            "ReportAutoscalingState", request, pb.ReportAutoscalingStateReply.FromString
        )

    async def report_config(self, groups: Iterable[scaling_records.GroupConfig]) -> None:
        """Tell how large the cluster may get; for libraries that ask. Since Ray 2.41."""
        config = pb.ClusterConfig(node_group_configs=map(wire_gcs.group_config, groups))
        await self._call(
            "ReportClusterConfig",
            pb.ReportClusterConfigRequest(cluster_config=config),
            pb.ReportClusterConfigReply.FromString,
        )

    async def request_constraint(self, constraint: scaling_records.Counted) -> None:
        """Ask for room for all of these, as `ray.autoscaler.sdk.request_resources` does."""
        request = pb.RequestClusterResourceConstraintRequest(
            cluster_resource_constraint=wire_gcs.constraint(constraint)
        )
        await self._call(
            "RequestClusterResourceConstraint",
            request,
            pb.RequestClusterResourceConstraintReply.FromString,
        )

    async def drain(
        self, node_id: bytes, *, reason: Reason, message: str, deadline: datetime | None = None
    ) -> str | None:
        """Have a node leave; return why it won't, None when it will.

        `deadline` is told to what runs on the node; Ray ends nothing at it. A node that is dead or
        unknown is willing.
        """
        request = pb.DrainNodeRequest(
            node_id=node_id,
            reason=reason.value,
            reason_message=message,
            deadline_timestamp_ms=int(deadline.timestamp() * 1000) if deadline else 0,
        )
        reply = await self._call("DrainNode", request, pb.DrainNodeReply.FromString)
        return None if reply.is_accepted else reply.rejection_reason_message or "no reason given"

    async def _call(
        self,
        method: str,
        request: _Message,
        decode: Callable[[bytes], T],
        *,
        within: timedelta = DEADLINE,
        service: str = SERVICE,
    ) -> T:
        call: Any = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=decode,
        )
        try:
            with metrics.gcs_seconds.labels(method).time():
                reply: T = await call(
                    request, timeout=within.total_seconds(), metadata=self._metadata
                )
        except grpc.aio.AioRpcError as error:
            metrics.gcs_errors.labels(method, error.code().name).inc()
            said = f"{method}: {error.code().name}: {error.details()}"
            if error.code() in _NO_ANSWER:
                raise errors.Unreachable(said) from error
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise errors.Unsupported(said) from error
            raise errors.Rejected(said) from error
        return reply
