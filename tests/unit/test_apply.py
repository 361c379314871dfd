"""What is tried after a refusal; and whose fields of an object become ours when we apply it."""

from typing import Any, cast

from ray_operator import actions, apply, errors, kube, names, records

OWNED: dict[str, Any] = {"f:metadata": {"f:ownerReferences": {}}, "f:spec": {"f:ports": {}}}


def entry(manager: str, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields}


def test_its_maker_s() -> None:
    user = entry("kubectl-annotate", "Update", {"f:metadata": {"f:annotations": {}}})
    made = entry("manager", "Update", OWNED)
    assert apply.inherited([user, made]) == [user, entry("ray-operator", "Apply", OWNED)]


def test_nobody_s_once_we_applied_it() -> None:
    ours = entry("ray-operator", "Apply", OWNED)
    assert apply.inherited([ours, entry("manager", "Update", OWNED)]) is None


def test_nobody_s_who_did_not_make_it() -> None:
    assert apply.inherited([entry("kubectl-edit", "Update", {"f:spec": {}})]) is None


class Api:
    """Refuse the Pods of one group, or the object of one name."""

    def __init__(self, refused: str) -> None:
        self.refused = refused
        self.asked: list[str] = []

    async def create(self, _: Any, __: str, manifest: Any, **___: Any) -> bytes:
        metadata = manifest["metadata"]
        group = metadata.get("labels", {}).get(names.GROUP_LABEL) or metadata["name"]
        self.asked.append(group)
        if group == self.refused:
            raise errors.Forbidden("a policy refuses it")
        return b"{}"


def pod(group: str) -> actions.Create:
    labels = {names.GROUP_LABEL: group}
    return actions.Create(
        resource=records.PODS,
        manifest={"metadata": {"namespace": "ns1", "generateName": "demo-", "labels": labels}},
        reasons=actions.Reasons("Created", "FailedToCreate", "FailedCreate"),
    )


async def test_a_group_whose_pods_are_refused_delays_no_other() -> None:
    server = Api(refused="a")
    applier = apply.Applier(
        cast("kube.Kube", server), {records.PODS: apply.Unwatched()}, may_write=lambda: True
    )
    plan = actions.Plan(actions=(*[pod("a")] * 100, *[pod("b")] * 3))
    outcome = await applier.apply(plan)
    assert server.asked == ["a", "b", "b", "b"]
    assert len(outcome.failures) == 1


async def test_a_service_that_is_refused_delays_no_other() -> None:
    server = Api(refused="a")
    applier = apply.Applier(
        cast("kube.Kube", server), {records.SERVICES: apply.Unwatched()}, may_write=lambda: True
    )
    made = [
        actions.Apply(
            resource=records.SERVICES,
            manifest={"metadata": {"namespace": "ns1", "name": name}},
            reasons=actions.Reasons("Created", "FailedToCreate", "FailedCreate"),
            is_new=True,
        )
        for name in ("a", "b")
    ]
    outcome = await applier.apply(actions.Plan(actions=tuple(made)))
    assert server.asked == ["a", "b"]
    assert len(outcome.failures) == 1
