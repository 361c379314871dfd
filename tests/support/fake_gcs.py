"""A server that answers like Ray's GCS, for what a real one can't be brought to say.

Owns: the calls that the operator makes, and a record of them. Invariant: a node that is let go is
dead at once.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from ray_operator import gcs
from ray_operator.protos import autoscaler_pb2 as pb
from ray_operator.protos import jobs_pb2


class FakeGcs:
    """Answer with the nodes and demands it has; keep what it was told."""

    def __init__(self) -> None:
        self.state = pb.ClusterResourceState(cluster_session_name="session")
        self.drivers = 0
        self.refuses_idle = False
        self.is_old = False
        self.refused = 0
        self.fails: set[str] = set()
        self.drained: list[tuple[bytes, int, int]] = []
        self.asked: list[bytes] = []
        self.tokens: set[object] = set()
        self.reports: list[pb.AutoscalingState] = []
        self.configs: list[pb.ClusterConfig] = []
        self.constraints: list[pb.ClusterResourceConstraint] = []
        self.port = 0

    def have(self, *nodes: pb.NodeState) -> None:
        """Have these nodes, and no other."""
        del self.state.node_states[:]
        self.state.node_states.extend(nodes)

    async def _state(self, body: bytes, context: Any) -> pb.GetClusterResourceStateReply:
        self.asked.append(body)
        self.tokens.add(dict(context.invocation_metadata()).get("authorization"))
        self.state.cluster_resource_state_version += 1
        return pb.GetClusterResourceStateReply(cluster_resource_state=self.state)

    async def _drain(self, body: bytes, _: Any) -> pb.DrainNodeReply:
        request = pb.DrainNodeRequest.FromString(body)
        given = (request.node_id, request.reason, request.deadline_timestamp_ms)
        self.drained.append(given)
        if request.reason == pb.DRAIN_NODE_REASON_IDLE_TERMINATION and self.refuses_idle:
            return pb.DrainNodeReply(rejection_reason_message="no longer idle")
        for node in self.state.node_states:
            if node.node_id == request.node_id:
                node.status = pb.DEAD
        return pb.DrainNodeReply(is_accepted=True)

    async def _report(self, body: bytes, _: Any) -> pb.ReportAutoscalingStateReply:
        self.reports.append(pb.ReportAutoscalingStateRequest.FromString(body).autoscaling_state)
        return pb.ReportAutoscalingStateReply()

    async def _configure(self, body: bytes, context: Any) -> pb.ReportClusterConfigReply:
        if self.is_old:
            self.refused += 1
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        self.configs.append(pb.ReportClusterConfigRequest.FromString(body).cluster_config)
        return pb.ReportClusterConfigReply()

    async def _constrain(self, body: bytes, _: Any) -> pb.RequestClusterResourceConstraintReply:
        request = pb.RequestClusterResourceConstraintRequest.FromString(body)
        self.constraints.append(request.cluster_resource_constraint)
        return pb.RequestClusterResourceConstraintReply()

    async def _jobs(self, _: bytes, __: Any) -> jobs_pb2.GetAllJobInfoReply:
        internal = jobs_pb2.JobTableData(
            config=jobs_pb2.JobConfig(ray_namespace="_ray_internal_dashboard")
        )
        users = [jobs_pb2.JobTableData() for _ in range(self.drivers)]
        return jobs_pb2.GetAllJobInfoReply(job_info_list=[internal, *users])

    def _method(self, name: str, answer: Callable[..., Any]) -> Any:
        async def answered(body: bytes, context: Any) -> Any:
            if name in self.fails:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "no raylet")
            return await answer(body, context)

        return grpc.unary_unary_rpc_method_handler(
            answered, response_serializer=lambda reply: reply.SerializeToString()
        )

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return what a server needs to answer."""
        scaling = {
            "GetClusterResourceState": self._method("GetClusterResourceState", self._state),
            "DrainNode": self._method("DrainNode", self._drain),
            "ReportAutoscalingState": self._method("ReportAutoscalingState", self._report),
            "ReportClusterConfig": self._method("ReportClusterConfig", self._configure),
            "RequestClusterResourceConstraint": self._method(
                "RequestClusterResourceConstraint", self._constrain
            ),
        }
        jobs = {"GetAllJobInfo": self._method("GetAllJobInfo", self._jobs)}
        return (
            grpc.method_handlers_generic_handler(gcs.SERVICE, scaling),
            grpc.method_handlers_generic_handler(gcs.JOBS, jobs),
        )


@asynccontextmanager
async def serving(address: str = "127.0.0.1:0") -> AsyncIterator[FakeGcs]:
    """Serve while the block runs; the port is the server's `port`."""
    made, listening = FakeGcs(), grpc.aio.server()
    listening.add_generic_rpc_handlers(made.handlers())
    made.port = listening.add_insecure_port(address)
    await listening.start()
    try:
        yield made
    finally:
        await listening.stop(None)
