"""Each rule by example, asked of a real API server: what it refuses, and in which words."""

import pytest

from ray_operator.api import crds
from tests.support import cluster as clusters
from tests.support import rulebook
from tests.support.rulebook import example


@pytest.mark.parametrize("case", rulebook.CASES, ids=lambda case: case.title)
def test_a_rule(api: clusters.Cluster, case: example.Case) -> None:
    """What only the Python can tell must pass here: the operator then says it in a condition."""
    assert api.dry_run(example.manifest(case.kind, case.good), namespace="default") == ""
    refusal = api.dry_run(example.manifest(case.kind, case.bad), namespace="default")
    assert (case.server in refusal) if case.server else (refusal == "")


def test_every_expression_refused_something(api: clusters.Cluster) -> None:
    """No expression is there that the examples, or the updates below, don't meet."""
    refusals = [
        api.dry_run(example.manifest(case.kind, case.bad), namespace="default")
        for case in rulebook.CASES
        if case.server
    ]
    unmet = [
        each.message
        for each in crds.EXPRESSIONS
        if not any(each.message in refusal for refusal in refusals)
    ]
    assert sorted(set(unmet)) == [
        "backend can't be changed: make a new cluster",
        "managedBy can't be changed: make a new resource",
    ]


def changed(api: clusters.Cluster, kind: str, before: example.Json, after: example.Json) -> str:
    """Store a resource, and return what is said of changing it."""
    name = "changing"
    api.apply(example.manifest(kind, before, name=name), "default")
    try:
        found = api.get(f"{kind.lower()}s", "default", name)
        assert found is not None
        wanted = example.manifest(kind, after, name=name)
        wanted["metadata"] = found["metadata"]
        return api.dry_run(wanted, namespace="default", old=found)
    finally:
        api.kubectl("delete", kind, name)


US, KUEUE = "ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob", "RayService"])
@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [(US, KUEUE, True), (US, US, False), (None, US, False), (US, None, False)],
)
def test_who_manages_a_resource_stays(
    api: clusters.Cluster, kind: str, before: str | None, after: str | None, refused: bool
) -> None:
    was, will = (({"spec/managedBy": each} if each else {}) for each in (before, after))
    said = changed(api, kind, was, will)
    assert ("managedBy can't be changed" in said) if refused else (said == "")


@pytest.mark.parametrize(
    ("before", "after", "refused"), [("redis", "rocksdb", True), ("redis", None, False)]
)
def test_the_backend_stays(
    api: clusters.Cluster, before: str, after: str | None, refused: bool
) -> None:
    was, will = (
        {"spec/gcsFaultToleranceOptions": {"backend": each} if each else {}}
        for each in (before, after)
    )
    said = changed(api, "RayCluster", was, will)
    assert ("backend can't be changed" in said) if refused else (said == "")
