"""The only gRPC client of Ray: what a head's GCS (global control service) knows and is told.

Owns: the channel to one GCS, its calls and their errors. Does not own: when to call (`pollers`) or
what follows from an answer (`raycluster`). Invariant: every failure leaves as a `RayError`; nothing
is retried here, and no state of one GCS is ever sent to another.

There is no dependency on Ray itself: the calls are plain gRPC, with our own trimmed copy of the
messages (`protos`). Another call is one more line of `_call` and its messages there.
Source: Ray, AutoscalerStateService; the same from 2.9 to 2.60.
"""

import enum
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from ray_operator import errors, ray_records
from ray_operator.protos import autoscaler_pb2 as pb

SERVICE = "ray.rpc.autoscaler.AutoscalerStateService"
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
_STATUS = {
    pb.RUNNING: ray_records.NodeStatus.RUNNING,
    pb.DEAD: ray_records.NodeStatus.DEAD,
    pb.IDLE: ray_records.NodeStatus.IDLE,
    pb.DRAINING: ray_records.NodeStatus.DRAINING,
}


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
        """Return all nodes, and those dead ones that the GCS remembers."""
        reply = await self._call(
            "GetClusterResourceState",
            pb.GetClusterResourceStateRequest(),
            pb.GetClusterResourceStateReply.FromString,
            within=within,
        )
        nodes = reply.cluster_resource_state.node_states
        return ray_records.ResourceState(datetime.now(UTC), tuple(_node(each) for each in nodes))

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
    ) -> T:
        call: Any = self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=decode,
        )
        try:
            reply: T = await call(request, timeout=within.total_seconds(), metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            said = f"{method}: {error.code().name}: {error.details()}"
            if error.code() in _NO_ANSWER:
                raise errors.Unreachable(said) from error
            raise errors.Rejected(said) from error
        return reply


def _node(state: pb.NodeState) -> ray_records.RayNode:
    return ray_records.RayNode(
        node_id=state.node_id,
        instance_id=state.instance_id,
        status=_STATUS.get(state.status, ray_records.NodeStatus.UNKNOWN),
        idle=timedelta(milliseconds=state.idle_duration_ms),
        ip=state.node_ip_address,
    )
