"""What the operator's configuration adds to every Ray Pod."""

import dataclasses
from typing import Any

import pytest

from ray_operator import actions, names, settings
from ray_operator.api import raycluster as api
from ray_operator.api import rules
from ray_operator.raycluster import desired, observed, plan, status
from tests.unit import builders

HEAD_SIDECAR = {"name": "head-log", "image": "log:1"}
WORKER_SIDECAR = {"name": "worker-log", "image": "log:1"}
ADDITIONS = settings.PodAdditions(
    head_containers=(HEAD_SIDECAR,),
    worker_containers=(WORKER_SIDECAR,),
    env=(
        {"name": "MINE", "value": "operator"},
        {"name": "NEW", "value": "operator"},
        {"name": "RAY_ADDRESS", "value": "operator"},
        {"name": "RAY_CLUSTER_NAME", "value": "operator"},
    ),
    annotations={"mine": "operator", "new": "operator", names.HASH_ANNOTATION: "operator"},
    labels={
        "mine": "operator",
        "new": "operator",
        names.CLUSTER_LABEL: "operator",
        names.APP_NAME_LABEL: "operator",
    },
)
WITH = dataclasses.replace(builders.SETTINGS, additions=ADDITIONS)


def template() -> dict[str, Any]:
    env = [{"name": "MINE", "value": "user"}]
    return {
        "metadata": {"labels": {"mine": "user"}, "annotations": {"mine": "user"}},
        "spec": {
            "containers": [
                {"name": "ray", "image": "img", "env": env},
                {"name": "other", "image": "x"},
            ],
            "initContainers": [{"name": "early", "image": "x"}],
        },
    }


def cluster() -> api.RayCluster:
    return builders.raycluster(
        headGroupSpec={"template": template()}, groups=[builders.group(template=template())]
    )


def pods(options: settings.Settings) -> list[dict[str, Any]]:
    made = cluster()
    (worker,) = desired.worker_pods(
        made, made.spec.worker_group_specs[0], places=[desired.Place()], settings=options
    )
    return [desired.head_pod(made, settings=options), worker]


def env(container: dict[str, Any]) -> dict[str, Any]:
    found = {each["name"]: each.get("value") for each in container["env"]}
    assert len(found) == len(container["env"]), "a name comes twice"
    return found


def test_nothing_else_of_a_pod_changes_than_what_is_added() -> None:
    for plain, pod, sidecar in zip(
        pods(builders.SETTINGS), pods(WITH), [HEAD_SIDECAR, WORKER_SIDECAR], strict=True
    ):
        ray, *others = plain["spec"]["containers"]
        changed, *rest = pod["spec"]["containers"]
        assert rest == [*others, sidecar]
        expected = {**env(ray), "RAY_ADDRESS": "operator", "NEW": "operator"}
        assert env(changed) == expected
        assert expected["MINE"] == "user"
        assert {**changed, "env": []} == {**ray, "env": []}
        assert {**pod["spec"], "containers": []} == {**plain["spec"], "containers": []}
        for part in ("labels", "annotations"):
            assert pod["metadata"][part] == {**plain["metadata"][part], "new": "operator"}


@pytest.mark.parametrize("strategy", ["Recreate", "RollingUpdate"])
def test_a_new_configuration_replaces_no_pod(strategy: str) -> None:
    """Not even with a strategy that replaces the Pods of an older spec."""
    made = builders.raycluster(upgradeStrategy={"type": strategy})
    before = desired.head_pod(made, settings=builders.SETTINGS)["metadata"]["annotations"]
    (worker,) = desired.worker_pods(
        made, made.spec.worker_group_specs[0], places=[desired.Place()], settings=builders.SETTINGS
    )
    stamped = worker["metadata"]["annotations"]
    world = observed.Observed(
        pods=(
            builders.pod(annotations=before),
            builders.worker(index=0, annotations=stamped),
        ),
        services=(builders.head_service(),),
    )
    assert plan.plan(made, world, WITH, builders.NOW) == actions.Plan()


def clashing() -> tuple[api.RayCluster, tuple[rules.FieldError, ...]]:
    head, workers = template(), template()
    head["spec"]["containers"][1]["name"] = "head-log"
    workers["spec"]["initContainers"][0]["name"] = "worker-log"
    words = (
        "is also the name of a container that the operator adds to each such Pod ({} of its"
        " configuration): give it another name"
    )
    return builders.raycluster(
        headGroupSpec={"template": head}, groups=[builders.group(template=workers)]
    ), (
        rules.FieldError(
            "spec.headGroupSpec.template.spec.containers[1].name",
            f"'head-log' {words.format('headSidecarContainers')}",
            rules.Rule.CONTAINER_NAME,
        ),
        rules.FieldError(
            "spec.workerGroupSpecs[0].template.spec.initContainers[0].name",
            f"'worker-log' {words.format('workerSidecarContainers')}",
            rules.Rule.CONTAINER_NAME,
        ),
    )


@pytest.mark.parametrize("was_valid", [False, True])
def test_a_clash_of_names_is_told_by_field_also_when_the_spec_was_fine_before(
    was_valid: bool,
) -> None:
    made, errors = clashing()
    if was_valid:
        world = observed.Observed()
        said = status.next_status(made, world, actions.Outcome(), builders.NOW)
        assert said is not None
        made = made.model_copy(update={"status": dict(said)})
        assert plan.plan(made, world, builders.SETTINGS, builders.NOW).invalid == ()
    decided = plan.plan(made, observed.Observed(), WITH, builders.NOW)
    assert decided.actions == ()
    assert decided.invalid == errors
    (event,) = decided.events
    assert event.message == "; ".join(map(str, errors))
    invalid = actions.Outcome(invalid=errors)
    said = status.next_status(made, observed.Observed(), invalid, builders.NOW)
    assert said is not None
    again = made.model_copy(update={"status": dict(said)})
    assert plan.plan(again, observed.Observed(), WITH, builders.NOW).events == ()


def test_the_resources_of_waiting_are_the_administrators() -> None:
    wanted = {"limits": {"memory": "2Gi"}}
    (_, worker) = pods(dataclasses.replace(WITH, wait_resources=wanted))
    assert worker["spec"]["initContainers"][-1]["resources"] == wanted
