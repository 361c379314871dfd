"""What is submitted, and what the one who submits is told: the same job in every mode.

Owns: the payload of Ray's Jobs API, the submitter's command line and variables. Does not own: the
program (`submitter`), or the objects that it runs in (`submitter_job`, `sidecar`). Invariant: Ray
gets the entrypoint byte by byte as the spec has it, whoever submits it.
Source: KubeRay 1.7, which has a shell read the entrypoint in some modes.
"""

import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from ray_operator import go_yaml, names, settings
from ray_operator.api import ray_resources
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayjob as api
from ray_operator.raycluster import auth

PROGRAM = importlib.resources.files("ray_operator").joinpath("submitter.py").read_text()
"""Sent along, since the image in which it runs is the user's."""
_RUN = '"$(command -v python3 || command -v python)" -c "$@"'


def payload(spec: api.RayJobSpec, job_id: str) -> dict[str, Any]:
    """Return the body of a submission; what is empty or zero is left out."""
    given = {
        "runtime_env": runtime_env(spec),
        "metadata": spec.metadata,
        "entrypoint_num_cpus": spec.entrypoint_num_cpus,
        "entrypoint_num_gpus": spec.entrypoint_num_gpus,
        "entrypoint_resources": ray_resources.parse(spec.entrypoint_resources)
        if spec.entrypoint_resources
        else None,
    }
    kept = {key: value for key, value in given.items() if value}
    return {"entrypoint": spec.entrypoint, "submission_id": job_id, **kept}


def runtime_env(spec: api.RayJobSpec) -> dict[str, Any]:
    """Return Ray's runtime environment; of several documents the first one counts."""
    for each in go_yaml.load_all(spec.runtime_env_yaml):
        if each:
            return dict(each)
    return {}


def flags(spec: api.RayJobSpec) -> list[str]:
    """Return the options of the submitter that describe the job."""
    found: list[str] = []
    for flag, value in (
        ("--runtime-env-json", runtime_env(spec)),
        ("--metadata-json", spec.metadata),
        ("--entrypoint-resources", ray_resources.parse(spec.entrypoint_resources or "{}")),
    ):
        if value:
            found += [flag, json.dumps(value, sort_keys=True)]
    for flag, number in (
        ("--entrypoint-num-cpus", spec.entrypoint_num_cpus),
        ("--entrypoint-num-gpus", spec.entrypoint_num_gpus),
    ):
        if number:
            found += [flag, f"{number:f}"]
    return found


def command(
    job: api.RayJob, spec: api.RayJobSpec, more: list[str], *, options: settings.Settings
) -> dict[str, list[str]]:
    """Return `command` and `args` of a container that submits; `more` are further options.

    On request the shell reads the entrypoint, as KubeRay has it.
    """
    shell = ["/bin/bash", "-cel" if options.login_shell else "-ce", "--"]
    given = ["submitter", PROGRAM, *flags(spec), *more, "--"]
    if job.metadata.annotations.get(names.RAW_ENTRYPOINT_ANNOTATION, "").lower() == "true":
        script = f"{_literal(_RUN)} {spec.entrypoint.strip()}"  # and whatever follows an `&&`
        return {"command": shell, "args": [script, *map(_literal, given)]}
    return {
        "command": shell,
        "args": list(map(_literal, [f"exec {_RUN}", *given, spec.entrypoint])),
    }


def _literal(text: str) -> str:
    """Write an argument so that the kubelet, which expands `$(NAME)`, hands on the text."""
    return text.replace("$", "$$")


def variables(
    cluster: cluster_api.RayCluster, *, address: str, job_id: str, session: str = ""
) -> list[dict[str, Any]]:
    """Return what the container that submits is told by variables, besides the user's.

    With `session` our submitter, whoever calls it, submits to that life of Ray only.
    """
    return [
        {"name": "PYTHONUNBUFFERED", "value": "1"},
        {"name": "RAY_DASHBOARD_ADDRESS", "value": address},
        {"name": "RAY_JOB_SUBMISSION_ID", "value": job_id},
        *auth.variables(cluster),
        *([{"name": "RAY_JOB_SESSION", "value": session}] if session else []),
    ]


def with_variables(given: Mapping[str, Any], ours: list[dict[str, Any]]) -> dict[str, Any]:
    """Append our variables to a container's; of authentication the user's win."""
    env = list(given.get("env") or [])
    taken = {each.get("name") for each in env}
    kept = [each for each in ours if not (each["name"] in taken and "AUTH" in each["name"])]
    return {**given, "env": [*env, *kept]}
