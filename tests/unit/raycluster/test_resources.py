"""What Pods ask of Kubernetes, summed up."""

from typing import Any

import pytest

from ray_operator.raycluster import resources
from tests.unit import builders


def template(*containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "spec": {
            "containers": [
                {"name": f"c{index}", "resources": each} for index, each in enumerate(containers)
            ]
        }
    }


def test_requests_count_before_limits_and_all_containers_count() -> None:
    cluster = builders.raycluster(
        headGroupSpec={
            "template": template(
                {"limits": {"cpu": "4", "memory": "8Gi"}, "requests": {"cpu": "100m"}},
                {"requests": {"memory": "512Mi"}},
            )
        },
        groups=[],
    )
    assert resources.totals(cluster) == resources.Totals(
        cpu="100m", memory="8704Mi", gpu="0", tpu="0"
    )


def test_groups_count_with_the_pods_they_shall_have() -> None:
    pod = template(
        {
            "limits": {
                "cpu": "1",
                "nvidia.com/gpu": "1",
                "amd.com/gpu": "2",
                "nvidia.com/mig-1g.5gb": "1",
                "google.com/tpu": "4",
                "huawei.com/Ascend910": "8",
            }
        }
    )
    cluster = builders.raycluster(
        groups=[
            builders.group("clamped", template=pod, replicas=9, maxReplicas=2, numOfHosts=2),
            builders.group("suspended", template=pod, suspend=True),
        ]
    )
    assert resources.totals(cluster) == resources.Totals(cpu="5", memory="2Gi", gpu="16", tpu="16")


def test_a_quantity_that_cannot_be_read_counts_as_nothing() -> None:
    cluster = builders.raycluster(
        headGroupSpec={"template": template({"limits": {"cpu": "lots", "memory": None}})}, groups=[]
    )
    assert resources.totals(cluster) == resources.Totals(cpu="0", memory="0", gpu="0", tpu="0")


@pytest.mark.parametrize(
    ("name", "is_gpu"),
    [
        ("nvidia.com/gpu", True),
        ("amd.com/gpu", True),
        ("gpu", True),
        ("nvidia.com/mig-1g.10gb", True),
        ("nvidia.com/mig-1g.10gb.me", False),
        ("nvidia.com/gpu.shared", False),
        ("cpu", False),
    ],
)
def test_gpus_are_known_by_name(name: str, *, is_gpu: bool) -> None:
    assert resources.is_gpu(name) is is_gpu
