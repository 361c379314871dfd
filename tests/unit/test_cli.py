"""Flags, the configuration file and the environment together."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from ray_operator import cli, features, logs, settings

HEADER = "apiVersion: config.ray.io/v1alpha1\nkind: Configuration\n"


def run(*flags: str, **environment: str) -> cli.Run:
    command = cli.parse(["run", *flags], environment, version="test")
    assert isinstance(command, cli.Run)
    return command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_flags_alone_are_those_of_the_operator() -> None:
    """So patches of KubeRay's Deployment, which replace its arguments, go on to work."""
    given = cli.parse(["--watch-namespace=a"], {}, version="test")
    assert given == run("--watch-namespace=a")
    with pytest.raises(SystemExit) as ended:
        cli.parse(["--help"], {}, version="test")
    assert ended.value.code == 0


def test_no_flags() -> None:
    assert run() == cli.Run(
        metrics_address=":8080",
        health_address=":8082",
        leader_election=True,
        leader_election_namespace="",
        concurrency=16,
        namespaces=(),
        logs=logs.Options(),
        enable_metrics=False,
        qps=None,
        burst=200,
        kubeconfig=None,
        pod_name="",
        pod_uid="",
        ignore_other_operators=False,
        warnings=(),
        webhook_certificates=None,
        webhook_address=":9443",
        settings=settings.Settings(version="test"),
    )


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_the_reference_s_flags_are_taken_with_one_dash_and_two(dashes: str) -> None:
    flags = [
        "metrics-addr=:1",
        "health-probe-bind-address=0",
        "enable-leader-election=false",
        "leader-election-namespace=leases",
        "reconcile-concurrency=3",
        "watch-namespace=a, b,",
        "log-file-path=/logs/operator.log",
        "log-file-encoder=console",
        "log-stdout-encoder=json",
        "use-kubernetes-proxy",
        "enable-metrics",
        "qps=12.5",
        "burst=25",
        "zap-devel=true",
        "zap-encoder=console",
        "zap-log-level=info",
        "zap-stacktrace-level=panic",
        "zap-time-encoding=rfc3339",
        "forced-cluster-upgrade",
        "feature-gates=RayJobDeletionPolicy=false",
    ]
    gates = features.DEFAULT - {features.Feature.DELETION_POLICY}
    assert run(*(dashes + flag for flag in flags)) == cli.Run(
        metrics_address=":1",
        health_address="0",
        leader_election=False,
        leader_election_namespace="leases",
        concurrency=3,
        namespaces=("a", "b"),
        logs=logs.Options(
            stdout_encoder="json",
            file=Path("/logs/operator.log"),
            file_encoder="console",
            level=logging.INFO,
            tracebacks_from=logging.CRITICAL,
            times="rfc3339",
        ),
        enable_metrics=True,
        qps=12.5,
        burst=25,
        kubeconfig=None,
        pod_name="",
        pod_uid="",
        ignore_other_operators=False,
        warnings=("--forced-cluster-upgrade has no effect: leave it out",),
        webhook_certificates=None,
        webhook_address=":9443",
        settings=settings.Settings(version="test", use_kubernetes_proxy=True, feature_gates=gates),
    )


def test_the_environment() -> None:
    found = run(
        ENABLE_INIT_CONTAINER_INJECTION="False",
        ENABLE_PROBES_INJECTION="false",
        ENABLE_LOGIN_SHELL="TRUE",
        ENABLE_DETERMINISTIC_HEAD_POD_NAME="true",
        ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE="true",
        ENABLE_RANDOM_POD_DELETE="true",
        ENABLE_GCS_FT_REDIS_CLEANUP="false",
        RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV="60",
        CLUSTER_DOMAIN="example.org",
        USE_INGRESS_ON_OPENSHIFT="true",
        ENABLE_WEBHOOKS="true",
        ENABLE_ZERO_DOWNTIME="false",
        DELETE_RAYJOB_CR_AFTER_JOB_FINISHES="true",
        RAYJOB_DEPLOYMENT_STATUS_TRANSITION_GRACE_PERIOD_SECONDS="0",
        RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS="7",
        RAY_OPERATOR_DRAIN_SECONDS="0",
        WAIT_GCS_READY_RESOURCES='{"limits": {"memory": "2Gi"}}',
    )
    assert found.webhook_certificates == cli.CERTIFICATES
    assert found.settings == settings.Settings(
        version="test",
        inject_init_container=False,
        inject_probes=False,
        login_shell=True,
        deterministic_head_name=True,
        head_cluster_ip_service=True,
        random_pod_delete=True,
        redis_cleanup=False,
        resync=timedelta(seconds=60),
        revisit=timedelta(seconds=60),
        cluster_domain="example.org",
        ingress_on_openshift=True,
        zero_downtime=False,
        delete_finished_rayjobs=True,
        rayjob_transition_grace=timedelta(),
        rayjob_status_timeout=timedelta(seconds=7),
        drain_timeout=timedelta(),
        wait_resources={"limits": {"memory": "2Gi"}},
    )


def test_a_file_replaces_the_flags_and_says_so(file: Path) -> None:
    keys = "qps: 5\ndefaultPodLabels: {team: ml}\nlogFileEncoder: console\n"
    file.write_text(HEADER + keys + "deleteRayJobAfterJobFinishes: true\n")
    found = run(
        f"--config={file}",
        "--qps=100",
        "-enable-metrics",
        "--log-stdout-encoder=console",
        "--log-file-encoder=json",
        "--zap-log-level=2",
        "--feature-gates=RayJobDeletionPolicy=false",
    )
    assert (found.qps, found.enable_metrics) == (5, False)
    assert found.settings.additions.labels == {"team": "ml"}
    assert found.settings.delete_finished_rayjobs
    assert features.Feature.DELETION_POLICY not in found.settings.feature_gates
    assert found.logs == logs.Options(
        stdout_encoder="console", file_encoder="console", level=logging.DEBUG
    )
    assert found.warnings == (
        (
            "--config is given, so --log-file-encoder, --enable-metrics, --qps had no effect:"
            " set logFileEncoder, enableMetrics, qps in the file"
        ),
    )


def test_a_file_that_says_all_needs_no_warning(file: Path) -> None:
    file.write_text(HEADER + "metricsAddr: :1\n")
    found = run(f"--config={file}", "--feature-gates=RayJobDeletionPolicy=true", "--zap-devel")
    assert (found.metrics_address, found.warnings) == (":1", ())
    assert found.logs == logs.Options(
        stdout_encoder="console", level=logging.DEBUG, tracebacks_from=logging.WARNING
    )


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("--batch-scheduler=kai-scheduler", "kai-scheduler"),
        ("--enable-batch-scheduler", "volcano"),
    ],
)
def test_a_batch_scheduler_is_accepted_with_a_warning(flag: str, name: str) -> None:
    assert run(flag).warnings == (
        f"the batch scheduler {name} isn't built yet: Pods are scheduled as if it weren't given",
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--batch-scheduler=slurm"], "argument --batch-scheduler/-batch-scheduler: invalid"),
        (
            ["--batch-scheduler=yunikorn", "--enable-batch-scheduler"],
            "batchScheduler is yunikorn and enableBatchScheduler, which means volcano, is true",
        ),
        (
            ["--batch-scheduler=yunikorn", "--feature-gates=KubernetesWAS=true"],
            "the batch scheduler yunikorn and the feature gate KubernetesWAS exclude each other",
        ),
        (["--zap-log-level=0"], "'0' is no level: use debug, info, error, panic or a number"),
        (["--zap-time-encoding=local"], "invalid choice: 'local'"),
        (["--log-file-encoder=xml"], "invalid choice: 'xml'"),
        (["--config=/nowhere.yaml"], "/nowhere.yaml: No such file or directory"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_bad_flags_end_the_start(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*flags)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV", "0", "is '0'; give seconds, 1 or more"),
        ("RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS", "5m", "is '5m'; give seconds, 1 or more"),
        ("RAY_OPERATOR_DRAIN_SECONDS", "-1", "is '-1'; give seconds, 0 or more"),
        (
            "WAIT_GCS_READY_RESOURCES",
            '{"limits": {"memory": []}}',
            (
                ": limits.memory: [] must be a whole number or a text; give resources as in"
                ' {"limits": '
            ),
        ),
    ],
)
def test_bad_variables_end_the_start(
    name: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(**{name: value})
    assert f"{name}{'' if said.startswith(':') else ' '}{said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "zone"),
    [
        ("", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        (":Asia/Kolkata", "Asia/Kolkata"),
        ("CET-1CEST,M3.5.0", "UTC"),
        ("Local", "UTC"),
    ],
)
def test_schedules_that_name_no_zone_are_of_the_operators(variable: str, zone: str) -> None:
    command = cli.parse(["run"], {"TZ": variable}, version="1")
    assert isinstance(command, cli.Run)
    assert command.settings.time_zone == zone
