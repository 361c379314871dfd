"""What a RayJob makes, beside what KubeRay made of the same, and what it means where it runs."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from unittest.mock import ANY

import pytest

from ray_operator import actions, features, names, settings, submitter
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.raycluster import auth, reach
from ray_operator.rayjob import cluster, head_service, sidecar, submission, submitter_job
from ray_operator.rayjob import state as states
from ray_operator.rayjob.state import Head, State
from tests.unit import builders, golden
from tests.unit.golden import ABSENT, ELIDED, Difference
from tests.unit.rayjob import given

SETTINGS = settings.Settings(version="nightly")
MEANT = [
    Difference(
        "spec.*containers.ray-job-submitter.args.*",
        ANY,
        ABSENT,
        "the shell gets a program of its own and each option as an argument, so it reads none",
    ),
    Difference(
        "spec.*containers.ray-job-submitter.env.RAY_JOB_SESSION.*",
        ANY,
        ABSENT,
        "a submitter of ours in the user's template submits to the written head only, too",
    ),
    Difference(
        "spec.*containers.ray-job-submitter.args.0",
        ANY,
        ELIDED,
        "one program for all modes, which submits to the written head and to no other",
    ),
    Difference(
        "spec.*containers.ray-job-submitter.terminationMessagePolicy",
        "FallbackToLogsOnError",
        ABSENT,
        "what crashes says why in its status",
    ),
    Difference(
        "spec.*containers.ray-job-submitter.env.RAY_DASHBOARD_ADDRESS.value",
        "127.0.0.1:8265",
        ABSENT,
        "beside the head the address is known before there is a Service",
    ),
    *(
        Difference(f"spec.selector.{label}", ABSENT, ANY, "users may override it on the template")
        for label in (names.IDENTIFIER_LABEL, names.APP_NAME_LABEL, names.CREATED_BY_LABEL)
    ),
]
OF_JOB_CONTROLLER = {
    "spec.completionMode": "NonIndexed",
    "spec.completions": 1,
    "spec.manualSelector": False,
    "spec.parallelism": 1,
    "spec.podReplacementPolicy": "TerminatingOrFailed",
    "spec.selector.matchLabels.batch.kubernetes.io/controller-uid": ANY,
    "spec.suspend": False,
    "spec.template.metadata.labels.batch.kubernetes.io/controller-uid": ANY,
    "spec.template.metadata.labels.batch.kubernetes.io/job-name": "job",
    "spec.template.metadata.labels.controller-uid": ANY,
    "spec.template.metadata.labels.job-name": "job",
    "spec.template.spec.volumes": [],
}
"""What Kubernetes fills in."""


def load(case: str) -> tuple[api.RayJob, State, dict[str, dict[str, Any]]]:
    """Return the RayJob, its state, and what it controls, by kind."""
    found = golden.documents(f"job-{case}")
    (job,) = (each for each in found if each["kind"] == "RayJob")
    job["metadata"]["uid"] = "<uid of owner>"
    model = api.RayJob.model_validate_json(json.dumps(job))
    state = dataclasses.replace(
        states.read(job["status"]), head=Head(pod_uid="uid", session=given.SESSION)
    )
    theirs = {
        each["kind"]: {key: value for key, value in each.items() if key != "status"}
        for each in found
        if any(o["kind"] == "RayJob" for o in each["metadata"].get("ownerReferences", ()))
    }
    return model, state, theirs


def built(case: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each of our manifests with theirs."""
    job, state, theirs = load(case)
    made = [cluster.manifest(job, name=state.cluster, options=SETTINGS)]
    found = cluster_api.RayCluster.model_validate_json(json.dumps(made[0]))
    if "Service" in theirs:
        made.append(reach.service(job, found, options=SETTINGS))
    if "Job" in theirs:
        made.append(submitter_job.manifest(job, job.spec, state, cluster=found, options=SETTINGS))
    assert {each["kind"] for each in made} == theirs.keys()
    return [(each, theirs[each["kind"]]) for each in made]


@pytest.mark.parametrize(("case", "kinds"), [("k8s", 3), ("sidecar", 1)])
def test_manifests_differ_from_the_reference_only_where_meant(case: str, kinds: int) -> None:
    pairs = built(case)
    assert len(pairs) == kinds
    found = [
        (ours["kind"], *each)
        for ours, theirs in pairs
        for each in golden.unmeant(ours, theirs, MEANT)
        if each[1] is not ABSENT or OF_JOB_CONTROLLER.get(each[0], ABSENT) != each[2]
    ]
    assert found == []


def test_every_meant_difference_occurs() -> None:
    seen: set[int] = set()
    for case in ("k8s", "sidecar"):
        for ours, theirs in built(case):
            seen |= golden.occurring(ours, theirs, MEANT)
    assert seen == set(range(len(MEANT)))


# From the manifest to the program


def kubelet(text: str, env: Mapping[str, str]) -> str:
    """Expand as the kubelet does. Source: Kubernetes, third_party/forked/golang/expansion."""
    done, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            done, at = done + text[at], at + 1
        elif text[at + 1] == "$":
            done, at = done + "$", at + 2
        elif text[at + 1] == "(" and (end := text.find(")", at)) > 0:
            name = text[at + 2 : end]
            done, at = done + env.get(name, f"$({name})"), end + 1
        else:
            done, at = done + text[at : at + 2], at + 2
    return done


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A) $$(A) $$$(A) $(B) $A $", "a $(A) $a $(B) $A $"),
        ("$$$$ $( $", "$$ $( $"),
        ("$(A", "$(A"),
    ],
)
def test_the_kubelets_rule_is_as_kubernetes_has_it(text: str, expanded: str) -> None:
    assert kubelet(text, {"A": "a"}) == expanded


ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"
NASTY = [
    "python -c 'print(1)'",
    "echo $HOME $$ $(hostname) ${X:-y} `id`",
    "a && b | c > d; exit 3",
    'echo "it\'s \\"quoted\\"" \\n',
    "echo $(RAY_JOB_SUBMISSION_ID) $$(A) $",
    "python - <<EOF\nprint('two lines')\nEOF\n",
    "  spaces  ",
    "--address elsewhere",
]


def received(container: Mapping[str, Any]) -> list[str]:
    """Run the container's command as a kubelet would; tell which arguments the program got."""
    env = {each["name"]: each.get("value", "") for each in container["env"]}
    command = [kubelet(each, env) for each in (*container["command"], *container["args"])]
    assert submission.PROGRAM in command
    command[command.index(submission.PROGRAM)] = ECHO
    done = subprocess.run(
        command,
        env={"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "HOME": "/home/ray", **env},
        capture_output=True,
        check=True,
        timeout=60,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def submitting(
    template: dict[str, Any] | None = None,
    *,
    on: cluster_api.RayCluster | None = None,
    options: settings.Settings = SETTINGS,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Build the Job."""
    job = given.rayjob(submitterPodTemplate=template, metadata=metadata, **spec)
    return submitter_job.manifest(
        job,
        job.spec,
        given.state(),
        cluster=given.cluster() if on is None else on,
        options=options,
    )


def first(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the container that submits."""
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


def beside(
    *, options: settings.Settings = SETTINGS, status: dict[str, Any] | None = None, **spec: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the head's Pod spec, and the submitting container in it."""
    written = status or {"jobId": given.JOB_ID}
    job = given.rayjob(submissionMode="SidecarMode", status=written, **spec)
    made = cluster.manifest(job, name=given.CLUSTER, options=options)
    pod: dict[str, Any] = made["spec"]["headGroupSpec"]["template"]["spec"]
    return pod, pod["containers"][-1]


@pytest.fixture(autouse=True)
def job_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the submitter the job's id, as the container's variable does."""
    monkeypatch.setenv("RAY_JOB_SUBMISSION_ID", given.JOB_ID)


@pytest.mark.parametrize("entrypoint", NASTY)
def test_ray_gets_the_entrypoint_to_the_letter_in_every_mode(entrypoint: str) -> None:
    by_job = submitter.parse(received(first(submitting(entrypoint=entrypoint))))
    by_sidecar = submitter.parse(received(beside(entrypoint=entrypoint)[1]))
    by_us = submission.payload(given.rayjob(entrypoint=entrypoint).spec, given.JOB_ID)
    assert by_us == {"entrypoint": entrypoint, "submission_id": given.JOB_ID}
    assert (by_job[1], by_sidecar[1]) == (by_us, by_us)


def test_ray_gets_the_same_job_in_every_mode() -> None:
    metadata = {"b": "$(A)", "a": "1"}
    job = given.rayjob(
        runtimeEnvYAML='env_vars: {A: "${HOME} $(B) `id`", "q\'": "\\""}\npip: [a]\n',
        entrypointNumCpus=1.5,
        entrypointNumGpus=2,
        entrypointResources='{"R1": 2, "$x": 0.5}',
    )
    spec = job.spec.model_copy(update={"metadata": metadata})
    expected = {
        "entrypoint": "python -c 'print(1)'",
        "submission_id": given.JOB_ID,
        "runtime_env": {"env_vars": {"A": "${HOME} $(B) `id`", "q'": '"'}, "pip": ["a"]},
        "metadata": metadata,
        "entrypoint_num_cpus": 1.5,
        "entrypoint_num_gpus": 2.0,
        "entrypoint_resources": {"R1": 2, "$x": 0.5},
    }
    assert submission.payload(spec, given.JOB_ID) == expected
    made = submitter_job.manifest(
        job, spec, given.state(), cluster=given.cluster(), options=SETTINGS
    )
    options, payload = submitter.parse(received(first(made)))
    assert payload == expected
    assert (options.session, options.wait) == (None, False)  # the variable says it


def test_who_relied_on_the_submitters_shell_may_have_it_back() -> None:
    metadata = {"annotations": {names.RAW_ENTRYPOINT_ANNOTATION: "true"}}
    entrypoint = " python  run.py $RAY_JOB_SUBMISSION_ID $(RAY_DASHBOARD_ADDRESS) 'a  b' "
    argv = received(first(submitting(metadata=metadata, entrypoint=entrypoint)))
    words = argv[argv.index("--") + 1 :]
    assert words == ["python", "run.py", given.JOB_ID, given.DASHBOARD, "a  b"]
    entrypoint = """run.py > /dev/null && echo '["and then"]'"""
    assert received(first(submitting(metadata=metadata, entrypoint=entrypoint))) == ["and then"]
    off = {"annotations": {names.RAW_ENTRYPOINT_ANNOTATION: "false"}}
    assert received(first(submitting(metadata=off, entrypoint=entrypoint)))[-1] == entrypoint


def test_the_shell_may_be_a_login_shell() -> None:
    options = dataclasses.replace(SETTINGS, login_shell=True)
    assert first(submitting(options=options))["command"] == ["/bin/bash", "-cel", "--"]
    assert first(submitting())["command"] == ["/bin/bash", "-ce", "--"]


# The user's template


def test_what_the_users_template_leaves_out_is_filled_in() -> None:
    template = {
        "metadata": {"labels": {"team": "x"}, "annotations": {"a": "b"}},
        "spec": {"nodeSelector": {"pool": "small"}, "containers": [{"name": "ray-job-submitter"}]},
    }
    made = submitting(template)["spec"]["template"]
    plain = submitting()["spec"]["template"]
    assert made["spec"] == {**plain["spec"], "nodeSelector": {"pool": "small"}}
    assert made["metadata"] == {
        "annotations": {"a": "b"},
        "labels": {"team": "x", **plain["metadata"]["labels"]},
    }


def test_what_the_users_template_says_stays() -> None:
    container = {
        "name": "mine",
        "image": "mine:1",
        "command": ["/submitter"],
        "args": ["--", "echo", "$(A)"],
        "resources": {"limits": {"cpu": "2"}},
        "env": [{"name": "A", "value": "$B"}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    other = {"name": "other", "image": "other:1"}
    spec = {
        "containers": [container, other],
        "restartPolicy": "OnFailure",
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    made = submitting({"spec": spec}, entrypoint="")["spec"]["template"]["spec"]
    ours = [
        {"name": "PYTHONUNBUFFERED", "value": "1"},
        {"name": "RAY_DASHBOARD_ADDRESS", "value": given.DASHBOARD},
        {"name": "RAY_JOB_SUBMISSION_ID", "value": given.JOB_ID},
        {"name": "RAY_JOB_SESSION", "value": given.SESSION},
    ]
    told = {
        **container,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": [{"name": "A", "value": "$B"}, *ours],
    }
    assert made == {**spec, "containers": [told, other]}


def test_a_command_of_ours_brings_its_own_arguments() -> None:
    template = {"spec": {"containers": [{"name": "s", "args": ["theirs"]}]}}
    assert first(submitting(template))["args"] == first(submitting())["args"]


@pytest.mark.parametrize(("config", "retries"), [(None, 2), ({}, 2), ({"backoffLimit": 0}, 0)])
def test_retries_of_the_submitter_are_the_users(
    config: dict[str, int] | None, retries: int
) -> None:
    made = submitting(submitterConfig=config)
    assert made["spec"].keys() == {"backoffLimit", "template"}
    assert made["spec"]["backoffLimit"] == retries


# Token authentication


TOKEN: dict[str, Any] = {"authOptions": {"mode": "token"}}
SECRET = {
    "name": "RAY_AUTH_TOKEN",
    "valueFrom": {"secretKeyRef": {"name": given.CLUSTER, "key": "auth_token"}},
}
MODE = {"name": "RAY_AUTH_MODE", "value": "token"}
ONLY = {"name": "RAY_JOB_SESSION", "value": given.SESSION}


def test_the_submitter_gets_rays_token() -> None:
    assert first(submitting(on=given.cluster(**TOKEN)))["env"][3:] == [MODE, SECRET, ONLY]
    spec = {**given.CLUSTER_SPEC, **TOKEN}
    assert beside(rayClusterSpec=spec)[1]["env"][3:] == [MODE, SECRET]
    assert first(submitting())["env"][3:] == [ONLY]


def test_the_users_own_token_wins() -> None:
    env = [{"name": "RAY_AUTH_TOKEN", "value": "mine"}]
    template = {"spec": {"containers": [{"name": "s", "env": env}]}}
    made = first(submitting(template, on=given.cluster(**TOKEN)))["env"]
    assert [each for each in made if "AUTH" in each["name"]] == [*env, MODE]


def test_where_kubernetes_vouches_the_submitter_gets_its_token() -> None:
    on = given.cluster(authOptions={"mode": "token", "enableK8sTokenAuth": True})
    mount = {"name": "v", "mountPath": "/v"}
    template = {
        "spec": {
            "containers": [{"name": "s", "volumeMounts": [mount]}],
            "volumes": [{"name": "v", "emptyDir": {}}],
        }
    }
    pod = submitting(template, on=on)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["volumeMounts"] == [mount, auth.MOUNT]
    assert pod["volumes"] == [{"name": "v", "emptyDir": {}}, auth.volume()]
    vouched = {"name": "RAY_ENABLE_K8S_TOKEN_AUTH", "value": "true"}
    assert container["env"][3:] == [MODE, vouched, ONLY]


# Beside the head


def test_the_head_pod_of_a_sidecar_is_never_started_again() -> None:
    pod, container = beside()
    assert [each["name"] for each in pod["containers"]] == ["ray-head", names.SUBMITTER]
    assert pod["restartPolicy"] == "Never"
    assert "restartPolicy" not in container
    options, payload = submitter.parse(received(container))
    assert (options.wait, options.session, payload["submission_id"]) == (True, None, given.JOB_ID)


def test_a_sidecar_talks_to_the_port_of_its_head() -> None:
    spec = json.loads(json.dumps(given.CLUSTER_SPEC))
    head = spec["headGroupSpec"]["template"]["spec"]["containers"][0]
    head["ports"] = [{"name": "dashboard", "containerPort": 9000}]
    head["securityContext"] = {"runAsUser": 1000}
    container = beside(rayClusterSpec=spec)[1]
    assert container["env"][1] == {"name": "RAY_DASHBOARD_ADDRESS", "value": "127.0.0.1:9000"}
    assert container["securityContext"] == {"runAsUser": 1000}


def test_a_sidecar_that_may_restart_follows_the_job_that_runs() -> None:
    gates = SETTINGS.feature_gates | {features.Feature.SIDECAR_SUBMITTER_RESTART}
    options = dataclasses.replace(SETTINGS, feature_gates=gates)
    assert sidecar.may_restart(options)
    container = beside(options=options)[1]
    assert container["restartPolicy"] == "OnFailure"
    assert not submitter.parse(received(container))[0].wait


# Labels and annotations


def test_a_cluster_has_the_jobs_labels_and_those_of_its_annotations_that_describe_it() -> None:
    metadata = {
        "labels": {"kueue.x-k8s.io/queue-name": "q", names.ORIGIN_KIND_LABEL: "wrong"},
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "argocd.argoproj.io/tracking-id": "x",
            names.RAW_ENTRYPOINT_ANNOTATION: "true",
            names.AUTOSCALER_ANNOTATION: "v2",
            "ray.io/ft-enabled": "true",
            "mine": "1",
        },
    }
    job = given.rayjob(metadata=metadata)
    made = cluster.manifest(job, name=given.CLUSTER, options=SETTINGS)
    assert made["metadata"] == {
        "name": given.CLUSTER,
        "namespace": "ns1",
        "labels": {
            "kueue.x-k8s.io/queue-name": "q",
            names.ORIGIN_NAME_LABEL: "job",
            names.ORIGIN_KIND_LABEL: "RayJob",
            names.SUBMISSION_MODE_LABEL: "K8sJobMode",
        },
        "annotations": {
            names.AUTOSCALER_ANNOTATION: "v2",
            "ray.io/ft-enabled": "true",
            "mine": "1",
        },
        "ownerReferences": given.OWNERS,
    }
    assert made["spec"] == given.CLUSTER_SPEC


def test_what_submits_has_only_the_labels_by_which_it_is_found() -> None:
    made = submitting(metadata={"labels": {"mine": "1"}, "annotations": {"a": "b"}})
    labels = {
        names.ORIGIN_NAME_LABEL: "job",
        names.ORIGIN_KIND_LABEL: "RayJob",
        names.CREATED_BY_LABEL: "kuberay-operator",
    }
    assert made["metadata"] == {
        "name": "job",
        "namespace": "ns1",
        "labels": labels,
        "ownerReferences": given.OWNERS,
    }
    assert made["spec"]["template"]["metadata"] == {"labels": labels}


# The head Service


def test_the_head_service_is_as_the_clusters_under_a_lasting_name() -> None:
    wide = given.cluster(
        headGroupSpec={
            **given.CLUSTER_SPEC["headGroupSpec"],
            "serviceType": "NodePort",
        },
        headServiceAnnotations={"a": "b"},
    )
    made = reach.service(given.rayjob(), wide, options=SETTINGS)
    assert made["metadata"]["name"] == "job-head-svc"
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["spec"]["type"] == "NodePort"
    assert made["spec"]["selector"] == {
        names.CLUSTER_LABEL: given.CLUSTER,
        names.NODE_TYPE_LABEL: names.HEAD,
    }


def test_the_head_service_is_as_the_users_own() -> None:
    """A load balancer that is internal stays so; what only one Service can have it doesn't take."""
    internal = {"service.beta.kubernetes.io/aws-load-balancer-internal": "true"}
    port = {"name": "dashboard", "port": 80, "nodePort": 30080}
    spec = {"type": "LoadBalancer", "loadBalancerIP": "10.0.0.9", "clusterIP": "10.0.0.8"}
    wide = given.cluster(
        headGroupSpec={
            **given.CLUSTER_SPEC["headGroupSpec"],
            "headService": {
                "metadata": {"name": "mine", "annotations": internal},
                "spec": {**spec, "ports": [port]},
            },
        },
    )
    made = reach.service(given.rayjob(), wide, options=SETTINGS)
    assert made["metadata"]["name"] == "job-head-svc"
    assert made["metadata"]["annotations"] == internal
    assert made["spec"]["type"] == "LoadBalancer"
    assert not spec.keys() & made["spec"].keys() - {"type"}
    assert {"name": "dashboard", "port": 80} in made["spec"]["ports"]


@pytest.mark.parametrize(
    ("change", "address"),
    [
        ({}, given.DASHBOARD),
        (
            {
                "headService": {
                    "metadata": {"name": "mine"},
                    "spec": {"ports": [{"name": "dashboard", "port": 80}]},
                }
            },
            "mine.ns1.svc.cluster.local:80",
        ),
    ],
)
def test_the_dashboard_is_where_the_clusters_own_service_is(
    change: dict[str, Any], address: str
) -> None:
    found = given.cluster(headGroupSpec={**given.CLUSTER_SPEC["headGroupSpec"], **change})
    assert reach.dashboard(found, options=SETTINGS) == address


def test_a_service_keeps_the_sort_of_its_address() -> None:
    """An address can't change; the selector can."""
    stays = dataclasses.replace(builders.SETTINGS, head_cluster_ip_service=True)
    around = given.seen(service=given.service("job-old"))
    (action,) = head_service.plan(given.rayjob(), around, options=stays)
    assert isinstance(action, actions.Apply)
    assert "clusterIP" not in action.manifest["spec"]
    (action,) = head_service.plan(given.rayjob(), around, options=builders.SETTINGS)
    assert isinstance(action, actions.Apply)
    assert action.manifest["spec"]["clusterIP"] == "None"
