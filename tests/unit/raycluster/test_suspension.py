"""The states of a suspension: every transition there is."""

import pytest

from ray_operator.raycluster.suspension import Phase, next_phase


@pytest.mark.parametrize("has_pods", [True, False])
@pytest.mark.parametrize(
    ("now", "wanted", "then"),
    [
        (Phase.ACTIVE, False, Phase.ACTIVE),
        (Phase.ACTIVE, True, Phase.SUSPENDING),
        (Phase.SUSPENDED, True, Phase.SUSPENDED),
        (Phase.SUSPENDED, False, Phase.ACTIVE),
    ],
)
def test_what_the_user_wants_decides(now: Phase, wanted: bool, then: Phase, has_pods: bool) -> None:
    assert next_phase(now, wanted=wanted, has_pods=has_pods) is then


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(("has_pods", "then"), [(True, Phase.SUSPENDING), (False, Phase.SUSPENDED)])
def test_a_suspension_ends_when_no_pod_is_left(wanted: bool, has_pods: bool, then: Phase) -> None:
    assert next_phase(Phase.SUSPENDING, wanted=wanted, has_pods=has_pods) is then
