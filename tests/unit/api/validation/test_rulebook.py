"""Each rule by example, asked of the Python; `tests/api` asks an API server the same."""

from typing import Any

import pytest

from ray_operator.api import base, crds
from ray_operator.api.rules import FieldError, Rule
from ray_operator.api.validation import raycluster, raycronjob, rayjob, rayservice
from tests.support import rulebook
from tests.support.rulebook import example

MODULES: dict[str, Any] = {
    "RayCluster": raycluster,
    "RayJob": rayjob,
    "RayService": rayservice,
    "RayCronJob": raycronjob,
}
MODELS: dict[str, type[base.Resource]] = {kind.name: kind.resource for kind in crds.KINDS}
# Only comparing with the object before can tell.
OF_UPDATES = {Rule.MANAGED_BY}


def told(case: example.Case, changes: example.Json) -> list[FieldError]:
    """Return what is said of the kind's plain manifest with changes."""
    resource = MODELS[case.kind].model_validate(example.manifest(case.kind, changes))
    module = MODULES[case.kind]
    if not case.warns:
        found: list[FieldError] = module.errors(resource, case.gates)
    elif case.kind == "RayService":
        found = module.warnings(resource, case.gates)
    else:
        found = module.warnings(resource)
    return found


@pytest.mark.parametrize("case", rulebook.CASES, ids=lambda case: case.title)
def test_a_rule(case: example.Case) -> None:
    assert told(case, case.good) == []
    found = told(case, case.bad)
    assert case.says in map(str, found)
    assert {each.rule for each in found} == {case.rule}


def test_every_rule_has_an_example() -> None:
    assert {case.rule for case in rulebook.CASES} | OF_UPDATES == set(Rule)


def test_every_expression_has_an_example_that_an_api_server_refuses() -> None:
    """Whether each refuses its example is for `tests/api`; here, that its words are expected."""
    expected = [case.server for case in rulebook.CASES if case.server]
    for each in crds.EXPRESSIONS:
        if "oldSelf" in each.expression and "hasValue" not in each.expression:
            continue  # of updates: tests/api has them by name
        assert any(words in each.message for words in expected), each.message
