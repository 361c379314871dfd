"""What is said of clusters that don't get ready."""

from typing import Any

import pytest

from ray_operator import actions, errors, records
from ray_operator.raycluster import diagnosis, turnover
from ray_operator.raycluster import observed as seen
from tests.unit import builders

NOTHING = actions.Outcome()
HEAD = "container ray-head of Pod demo-head-aaaaa"


def head(*containers: records.Container, **fields: Any) -> records.Pod:
    return builders.pod(ready=False, containers=containers, **fields)


def container(state: str = "waiting", name: str = "ray-head", **fields: Any) -> records.Container:
    return records.Container(name=name, state=state, **fields)


def say(*pods: records.Pod, memory: str = "2Gi", outcome: actions.Outcome = NOTHING) -> Any:
    template = builders.template("ray-head")
    template["spec"]["containers"][0]["resources"] = {"limits": {"memory": memory}}
    cluster = builders.raycluster(headGroupSpec={"template": template})
    return diagnosis.diagnose(cluster, seen.Observed(pods=pods), outcome)


def crashed(reason: str = "Error", message: str = "", exit_code: int = 1) -> records.Ended:
    return records.Ended(reason, message, exit_code)


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (
            head(container(reason="ImagePullBackOff", message="Back-off pulling image")),
            "ImagePullFailed",
            f"{HEAD}: Back-off pulling image: check name and tag of the image",
        ),
        (
            head(container(reason="ErrImagePull", message="401 Unauthorized")),
            "ImagePullDenied",
            f"{HEAD}: 401 Unauthorized: give imagePullSecrets that may read it",
        ),
        (
            head(container(reason="CreateContainerConfigError", message='configmap "a" not found')),
            "ContainerConfigInvalid",
            f'{HEAD}: configmap "a" not found: make the object that is named, or correct its name',
        ),
        (
            head(container(reason="CrashLoopBackOff", ended=crashed("OOMKilled"), restarts=2)),
            "OutOfMemory",
            f"{HEAD}: killed at its memory limit of 2Gi: raise resources.limits.memory",
        ),
        (
            head(container("terminated", ended=crashed(message="a\nb " * 200, exit_code=3))),
            "ContainerCrashed",
            f"{HEAD}: exit code 3: …" + ("a b " * 200).strip()[-300:],
        ),
        (
            head(container(reason="CrashLoopBackOff", ended=crashed(), restarts=4)),
            "ContainerCrashed",
            f"{HEAD}: exit code 1, 4 restarts",
        ),
        (
            head(
                container(
                    "terminated",
                    ended=crashed(
                        "StartError", 'exec: "/bin/bash": no such file or directory', 128
                    ),
                )
            ),
            "ProgramMissing",
            f'{HEAD}: exec: "/bin/bash": no such file or directory: the image needs bash and Ray',
        ),
        (
            head(unscheduled="0/3 nodes are available: 3 Insufficient cpu."),
            "Unschedulable",
            (
                "Pod demo-head-aaaaa: 0/3 nodes are available: 3 Insufficient cpu: lower the"
                " requests, or add nodes"
            ),
        ),
        (
            head(phase="Failed", reason="Evicted", message="low on memory"),
            "PodEvicted",
            "Pod demo-head-aaaaa was evicted: low on memory",
        ),
        (
            head(reason="NodeLost"),
            "NodeLost",
            "the node node-1 of Pod demo-head-aaaaa doesn't answer",
        ),
    ],
)
def test_a_cause_in_a_pod(pod: records.Pod, reason: str, message: str) -> None:
    assert say(pod) == (reason, message)


def test_a_head_below_its_need_is_told_so() -> None:
    pod = head(container("terminated", ended=crashed("OOMKilled", exit_code=137)))
    assert say(pod, memory="512Mi").message.endswith("limit of 512Mi: a Ray head needs 1Gi or more")


@pytest.mark.parametrize(
    "pod",
    [
        builders.pod(),
        head(),
        head(container("running")),
        head(container(reason="ContainerCreating")),
        head(container("running", ended=crashed(), restarts=1)),
        head(container("terminated", "init", ended=crashed("Completed", exit_code=0))),
        head(container(reason="ErrImagePull"), deletion_at=builders.NOW),
    ],
)
def test_nothing_is_said_while_nothing_is_wrong(pod: records.Pod) -> None:
    assert say(pod) is None


def test_the_head_comes_before_workers() -> None:
    worker = builders.worker(
        ready=False, containers=(container(name="ray-worker", reason="ErrImagePull"),)
    )
    waiting = head(container(reason="CreateContainerConfigError", message="m"))
    assert say(worker, waiting).reason == "ContainerConfigInvalid"
    assert say(worker, builders.pod()).reason == "ImagePullFailed"


def refused(message: str) -> actions.Outcome:
    manifest = {"metadata": {"generateName": "demo-"}}
    create = actions.Create(
        resource=records.PODS, manifest=manifest, reasons=turnover.CREATE_WORKER
    )
    error = errors.Forbidden(message)
    return actions.Outcome(results=(actions.Result(action=create, name="demo-xyz", error=error),))


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (
            "pods demo-xyz refused, exceeded quota: none",
            "QuotaExceeded",
            (
                "Pod demo-…: pods demo-… refused, exceeded quota: none: ask for less, or have the"
                " ResourceQuota raised"
            ),
        ),
        (
            "admission webhook denied",
            "CreateRefused",
            "Pod demo-…: admission webhook denied",
        ),
    ],
)
def test_a_refused_pod(error: str, reason: str, message: str) -> None:
    assert say(outcome=refused(error)) == (reason, message)
