"""What the webhook answers, whoever calls it."""

import json
from typing import Any

import pytest

from ray_operator import admission, features
from tests.support.rulebook import example

GOOD = example.manifest("RayJob", {})
BAD = example.manifest("RayJob", {"spec/runtimeEnvYAML": "foo"})
WORSE = example.manifest("RayJob", {"spec/runtimeEnvYAML": "foo", "spec/entrypointResources": "x"})


def answer(new: Any, old: Any = None, kind: str = "RayJob") -> dict[str, Any]:
    request = {"uid": "7", "kind": {"kind": kind}, "object": new, "oldObject": old}
    body = json.dumps({"kind": "AdmissionReview", "request": request}).encode()
    review = admission.review(body, features.DEFAULT)
    assert (review["kind"], review["response"]["uid"]) == ("AdmissionReview", "7")
    response: dict[str, Any] = review["response"]
    return response


def test_what_is_right_is_allowed() -> None:
    assert answer(GOOD) == {"uid": "7", "allowed": True}


def test_what_is_wrong_is_refused_with_field_and_fix() -> None:
    refused = answer(BAD)
    assert refused["allowed"] is False
    assert refused["status"] == {
        "code": 422,
        "reason": "Invalid",
        "message": "spec.runtimeEnvYAML: is no YAML mapping: write it like 'pip: [requests]'",
    }


def test_only_what_a_change_makes_wrong_is_refused() -> None:
    assert answer(BAD, BAD)["allowed"] is True
    assert answer(GOOD, BAD)["allowed"] is True
    message = answer(WORSE, BAD)["status"]["message"]
    assert message.startswith("spec.entrypointResources: x is no JSON object")
    assert "runtimeEnvYAML" not in message


def test_an_error_may_move_with_its_group_but_not_be_repeated() -> None:
    def groups(*names: str) -> Any:
        template = example.template()
        listed = [{"groupName": name, "template": template} for name in names]
        return example.manifest("RayCluster", {"spec/workerGroupSpecs": listed})

    old = groups("good", "a b")
    assert answer(groups("a b"), old, "RayCluster")["allowed"] is True
    message = answer(groups("a b", "good", "c d"), old, "RayCluster")["status"]["message"]
    assert message.startswith("spec.workerGroupSpecs[2].groupName: 'c d'")
    assert ";" not in message


def test_nothing_holds_up_a_deletion() -> None:
    going = {**BAD, "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert answer(going, GOOD)["allowed"] is True
    assert answer(None, BAD)["allowed"] is True


def test_a_model_that_can_not_be_read_is_refused() -> None:
    unreadable = {"metadata": {"name": "a"}, "spec": {"suspend": "perhaps"}}
    assert answer(unreadable)["status"]["message"] == (
        "spec.suspend: Input should be a valid boolean, unable to interpret input"
    )
    assert answer(unreadable, unreadable)["allowed"] is True
    assert answer(GOOD, unreadable)["allowed"] is True


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"request": {"uid": "1"}}'])
def test_what_is_no_review_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        admission.review(body, features.DEFAULT)


def test_another_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="Pod has no rules"):
        answer({}, kind="Pod")
