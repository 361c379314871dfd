"""Feature gates on the command line."""

import pytest

from ray_operator import features
from ray_operator.features import Feature


def test_gates_change_the_defaults() -> None:
    given = features.parse("RayCronJob=true, RayJobDeletionPolicy=False,")
    assert given == features.DEFAULT - {Feature.DELETION_POLICY} | {Feature.CRON_JOB}
    assert features.parse("") == features.DEFAULT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Nonsense=true", "'Nonsense' is no feature gate: use RayClusterStatusConditions, "),
        ("RayCronJob", "'RayCronJob' switches nothing: write RayCronJob=true or RayCronJob=false"),
        ("RayCronJob=1", "'RayCronJob=1' switches nothing"),
    ],
)
def test_what_is_no_gate(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features.parse(text)


def test_gates_without_anything_behind_them_stay_off() -> None:
    asked = features.DEFAULT - {Feature.STATUS_CONDITIONS} | {Feature.MTLS}
    gates, warnings = features.built(asked)
    assert gates == features.DEFAULT
    assert warnings == [
        "the feature gate RayClusterMTLS stays off: nothing is built behind it yet",
        "the feature gate RayClusterStatusConditions stays on",
    ]
    assert features.built(features.DEFAULT) == (features.DEFAULT, [])
