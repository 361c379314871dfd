"""What is said of bad RayClusters."""

from typing import Any

import pytest

from ray_operator import names
from ray_operator.api import rules
from ray_operator.api.validation import raycluster
from tests.unit import builders

HEAD = "spec.headGroupSpec"
GROUP = "spec.workerGroupSpecs[0]"


LABEL = (
    "must be at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or"
    " digit"
)
KEY = f"the key {LABEL}; a DNS name and '/' may precede it"


def errors(**given: Any) -> list[tuple[str, str]]:
    return [each[:2] for each in raycluster.errors(builders.raycluster(**given))]


def head(**fields: Any) -> dict[str, Any]:
    return {"template": builders.template("ray")} | fields


def test_a_good_cluster_has_no_errors() -> None:
    good = {"a": "1", "example.com/b": ""}
    params = {"resources": '"{\\"a\\": 1}"'}
    assert errors(headGroupSpec=head(labels=good, rayStartParams=params)) == []
    assert errors(headGroupSpec=head(rayStartParams={"resources": "$RESOURCES"})) == []
    assert errors(headGroupSpec=head(resources={"CPU": "1"}, rayStartParams={"memory": ""})) == []


def test_a_long_name() -> None:
    assert errors(metadata={"name": "a" * 53}) == []
    assert errors(metadata={"name": "a" * 54}) == [
        (
            "metadata.name",
            "is 54 characters long: use at most 53, since names of Services are made of it",
        )
    ]


@pytest.mark.parametrize("name", ["1a", "A", "a.b", "a-", "", "ä"])
def test_a_name_that_dns_does_not_like(name: str) -> None:
    message = (
        f"{name!r} must start with a lower-case letter, end with a letter or digit, and hold only"
        " lower-case letters, digits and '-'"
    )
    assert errors(metadata={"name": name}) == [("metadata.name", message)]


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        (
            {"template": {"spec": {"containers": []}}},
            ".template.spec.containers",
            "is empty: add the container that runs Ray",
        ),
        (
            {"template": {}},
            ".template.spec.containers",
            "is empty: add the container that runs Ray",
        ),
        (
            {"template": {"spec": {"containers": [{"image": "x"}]}}},
            ".template.spec.containers[0].name",
            "is empty: name the container",
        ),
        (
            {"template": {"spec": {"containers": [{"name": "x", "ports": [{"name": "y"}]}]}}},
            ".template.spec.containers[0].ports[0].containerPort",
            "must be a port number",
        ),
        (
            {
                "template": {
                    "spec": {
                        "containers": [{"name": "x", "resources": {"limits": {"cpu": "many"}}}]
                    }
                }
            },
            ".template.spec.containers[0].resources.limits[cpu]",
            "'many' is not a quantity such as 500m, 2 or 4Gi",
        ),
        (
            {"resources": {"CPU": "1"}, "rayStartParams": {"num-cpus": "1", "memory": "1"}},
            ".resources",
            "contradicts rayStartParams num-cpus, memory: keep one of the two",
        ),
        (
            {"rayStartParams": {"resources": "{a: 1}"}},
            ".rayStartParams.resources",
            "{a: 1} is no JSON object of numbers: write it like '{\"name\": 1}'",
        ),
        (
            {"labels": {"-x": ""}},
            ".labels[-x]",
            KEY,
        ),
        (
            {"labels": {"UP/x": ""}},
            ".labels[UP/x]",
            KEY,
        ),
        (
            {"labels": {"x": "a b"}},
            ".labels[x]",
            f"the value 'a b' {LABEL}",
        ),
    ],
)
def test_a_bad_group(fields: dict[str, Any], path: str, message: str) -> None:
    assert errors(headGroupSpec=head(**fields)) == [(HEAD + path, message)]
    assert errors(groups=[builders.group(**fields)]) == [(GROUP + path, message)]


def test_labels_have_their_own_field() -> None:
    assert errors(headGroupSpec=head(rayStartParams={"labels": ""})) == [
        (f"{HEAD}.rayStartParams.labels", f"move the labels to the field {HEAD}.labels")
    ]


def test_group_names_tell_groups_apart() -> None:
    groups = [builders.group(name) for name in ("a", "", "a", "b c")]
    assert errors(groups=groups) == [
        (f"{GROUP}.groupName", "'a' names 2 groups: give each its own name"),
        ("spec.workerGroupSpecs[1].groupName", "is empty: name the group"),
        ("spec.workerGroupSpecs[2].groupName", "'a' names 2 groups: give each its own name"),
        ("spec.workerGroupSpecs[3].groupName", f"'b c' names Pods in a label: it {LABEL}"),
    ]


def test_bounds() -> None:
    assert errors(groups=[builders.group(minReplicas=3, maxReplicas=2)]) == [
        (f"{GROUP}.minReplicas", "is 3, above maxReplicas 2: lower it, or raise maxReplicas")
    ]
    assert errors(groups=[builders.group(minReplicas=-2, maxReplicas=-1)]) == [
        (f"{GROUP}.minReplicas", "is -2: use 0 or more"),
        (f"{GROUP}.maxReplicas", "is -1: use 0 or more"),
    ]


def test_a_suspended_group_under_autoscaling() -> None:
    suspended = [builders.group(suspend=True)]
    assert errors(groups=suspended) == []
    assert errors(groups=suspended, enableInTreeAutoscaling=True) == [
        (f"{GROUP}.suspend", "can't be true with autoscaling on: set maxReplicas to 0 instead")
    ]


def test_upgrade_strategies() -> None:
    assert errors(upgradeStrategy={"type": "Rolling"}) == [
        ("spec.upgradeStrategy.type", "'Rolling' is unknown: use Recreate, RollingUpdate or None")
    ]
    labels = {names.ORIGIN_KIND_LABEL: "RayJob"}
    assert errors(upgradeStrategy={"type": "None"}, metadata={"labels": labels}) == [
        ("spec.upgradeStrategy.type", "remove it: the RayJob decides about upgrades")
    ]


def test_an_error_reads_as_one_line() -> None:
    error = rules.FieldError("spec.x", "is wrong", rules.Rule.QUANTITY)
    assert str(error) == "spec.x: is wrong"
