"""What is sent to a GCS; that it understands, and what it answers, is for the end-to-end tests."""

from ray_operator.protos import autoscaler_pb2 as pb


def test_the_question_for_the_state_is_empty() -> None:
    """A version in it that the GCS hasn't reached yet ends the GCS, and with it the head."""
    assert pb.GetClusterResourceStateRequest().SerializeToString() == b""
    assert pb.GetClusterResourceStateRequest.DESCRIPTOR.fields == []
