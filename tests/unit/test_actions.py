"""One event for all that is made, else one a reason, however many objects."""

from ray_operator import actions, errors, records

CREATE = actions.Reasons("Created", "FailedToCreate", "FailedCreate")


def result(name: str, error: errors.KubeError | None = None) -> actions.Result:
    create = actions.Create(resource=records.PODS, manifest={}, reasons=CREATE)
    return actions.Result(action=create, name=name, error=error)


def test_events_sum_up_by_reason_and_name_ten_objects_at_most() -> None:
    refused = errors.Forbidden("exceeded quota")
    outcome = actions.Outcome(
        results=(*(result(f"p{n}") for n in range(12)), result("x", refused), result("y", refused))
    )
    assert actions.events(outcome) == [
        actions.Event(
            type="Normal",
            reason="Created",
            action="Create",
            message="Created Pod p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more",
        ),
        actions.Event(
            type="Warning",
            reason="FailedToCreate",
            action="Create",
            message="Failed to create Pod x, y: exceeded quota",
        ),
    ]


def test_a_delete_says_why() -> None:
    delete = actions.Delete(
        resource=records.PODS, namespace="n", name="p", uid="u", reasons=CREATE, why="it failed"
    )
    outcome = actions.Outcome(results=(actions.Result(action=delete, name="p"),))
    assert actions.events(outcome) == [
        actions.Event(
            type="Normal", reason="Created", action="Delete", message="Deleted Pod p: it failed"
        )
    ]


def test_all_that_a_pass_makes_is_one_event() -> None:
    service = actions.Apply(
        resource=records.SERVICES,
        manifest={},
        reasons=actions.Reasons("CreatedService", "", ""),
        is_new=True,
    )
    made = actions.Result(action=service, name="demo-head-svc")
    outcome = actions.Outcome(results=(made, result("head"), result("worker")))
    assert actions.events(outcome) == [
        actions.Event(
            type="Normal",
            reason="Created",
            action="Create",
            message="Created Service demo-head-svc; Pod head, worker",
        )
    ]
