"""The command line: flags and environment in, one typed value out.

Owns: every flag and environment variable of the operator, with its default. Does not own: acting
on them (`__main__`). Invariant: the flags are KubeRay's, in single-dash form too, because existing
manifests use both.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ray_operator import features, settings

CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What `ray-operator run` was asked for.

    Attributes:
        namespaces: those to watch; empty means all.
        warnings: what of the flags can't be obeyed.
        webhook_certificates: folder of tls.crt and tls.key; None means no webhook.
    """

    metrics_address: str
    health_address: str
    leader_election: bool
    leader_election_namespace: str
    concurrency: int
    namespaces: tuple[str, ...]
    log_encoder: str
    log_level: str
    qps: float | None
    burst: int
    kubeconfig: Path | None
    pod_name: str
    warnings: tuple[str, ...]
    webhook_certificates: Path | None
    webhook_address: str
    settings: settings.Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Crds:
    """What `ray-operator crds` was asked for; no outputs means standard output."""

    outputs: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate:
    """What `ray-operator validate` was asked for."""

    files: tuple[Path, ...]
    feature_gates: features.Features


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered not in {"true", "false", "1", "0", "t", "f"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return lowered in {"true", "1", "t"}


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _gates(text: str) -> features.Features:
    try:
        return features.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ray-operator", description="A Kubernetes operator for Ray"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator")

    def add(name: str, **options: object) -> None:
        run.add_argument(f"--{name}", f"-{name}", **options)  # type: ignore[arg-type]

    add("metrics-addr", default=":8080", help="address of /metrics")
    add("health-probe-bind-address", default=":8082", help="address of /healthz and /readyz")
    add("enable-leader-election", type=_flag, nargs="?", const=True, default=True)
    add("leader-election-namespace", default="", help="empty: the Pod's namespace")
    add("reconcile-concurrency", type=_positive, default=16, help="resources worked on at once")
    add("watch-namespace", default="", help="comma-separated; empty: all namespaces")
    add("log-stdout-encoder", choices=("json", "console"), default="json")
    add("log-level", choices=("debug", "info", "warning", "error"), default="info")
    add("enable-metrics", type=_flag, nargs="?", const=True, default=True, help="always on")
    add("qps", type=float, default=None, help="requests a second to the API server; no limit")
    add("burst", type=_positive, default=200, help="requests at once when --qps is given")
    add("kubeconfig", type=Path, default=None, help="instead of the Pod's service account")
    add("webhook-bind-address", default=":9443", help="address of the webhook, if it is on")
    add("webhook-cert-dir", type=Path, default=CERTIFICATES, help="holds tls.crt and tls.key")
    add("feature-gates", type=_gates, default=features.DEFAULT, help="A=true,B=false")
    crds = commands.add_parser("crds", help="write the CustomResourceDefinitions")
    crds.add_argument("--output", type=Path, action="append", default=[], help="a directory")
    validate = commands.add_parser("validate", help="check manifests without a cluster")
    validate.add_argument("files", type=Path, nargs="+", metavar="FILE", help="YAML manifests")
    validate.add_argument("--feature-gates", type=_gates, default=features.DEFAULT)
    return parser


def parse(
    arguments: Sequence[str], environment: Mapping[str, str], *, version: str
) -> Run | Crds | Validate:
    """Parse a command line; on a bad one print why and exit with 2, as argparse does."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "crds":
        return Crds(outputs=tuple(given.output))
    if given.command == "validate":
        return Validate(files=tuple(given.files), feature_gates=given.feature_gates)
    try:
        gates, warnings = features.built(given.feature_gates)
        options = _settings(environment, version=version, enabled=gates)
    except ValueError as error:
        parser.error(str(error))
    return Run(
        metrics_address=given.metrics_addr,
        health_address=given.health_probe_bind_address,
        leader_election=given.enable_leader_election,
        leader_election_namespace=given.leader_election_namespace,
        concurrency=given.reconcile_concurrency,
        namespaces=tuple(part for part in given.watch_namespace.split(",") if part),
        log_encoder=given.log_stdout_encoder,
        log_level=given.log_level,
        qps=given.qps,
        burst=given.burst,
        kubeconfig=given.kubeconfig,
        pod_name=environment.get("POD_NAME", ""),
        warnings=tuple(warnings),
        webhook_certificates=given.webhook_cert_dir
        if environment.get("ENABLE_WEBHOOKS", "").lower() == "true"
        else None,
        webhook_address=given.webhook_bind_address,
        settings=options,
    )


def _settings(
    environment: Mapping[str, str], *, version: str, enabled: features.Features
) -> settings.Settings:
    """Read the switches that KubeRay takes from the environment.

    Raises:
        ValueError: a number can't be read; the message names the variable.
    """

    def switch(name: str, *, default: bool) -> bool:
        value = environment.get(name, "").lower()
        return value != "false" if default else value == "true"

    resync = environment.get("RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV", "300")
    if not resync.isdigit() or int(resync) < 1:
        raise ValueError(
            f"RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV is {resync!r}; give seconds, 1 or more"
        )
    drain = environment.get("RAY_OPERATOR_DRAIN_SECONDS", "")
    if drain and not drain.isdigit():
        raise ValueError(f"RAY_OPERATOR_DRAIN_SECONDS is {drain!r}; give seconds, 0 or more")
    return settings.Settings(
        version=version,
        cluster_domain=environment.get("CLUSTER_DOMAIN") or "cluster.local",
        inject_init_container=switch("ENABLE_INIT_CONTAINER_INJECTION", default=True),
        inject_probes=switch("ENABLE_PROBES_INJECTION", default=True),
        login_shell=switch("ENABLE_LOGIN_SHELL", default=False),
        deterministic_head_name=switch("ENABLE_DETERMINISTIC_HEAD_POD_NAME", default=False),
        head_cluster_ip_service=switch("ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE", default=False),
        redis_cleanup=switch("ENABLE_GCS_FT_REDIS_CLEANUP", default=True),
        random_pod_delete=switch("ENABLE_RANDOM_POD_DELETE", default=False),
        resync=timedelta(seconds=int(resync)),
        feature_gates=enabled,
        drain_timeout=timedelta(seconds=int(drain)) if drain else None,
    )
