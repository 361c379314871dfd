"""An operator of one RayService in a fake world, one second and one pass at a time.

Clusters take some seconds to get up, applications some more to run, and what fails is said by the
configuration's own text. What users feel is counted: seconds in which nothing took requests though
something had before.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ray_operator import actions, errors, names, records, serve_records, settings
from ray_operator.api import raycluster as cluster_api
from ray_operator.api import rayservice as api
from ray_operator.rayservice import observed, plan, services, status, transitions
from tests.unit import builders

UID = "33333333-3333-3333-3333-333333333333"
UP_AFTER, RUN_AFTER, GONE_AFTER = (timedelta(seconds=each) for each in (5, 3, 4))
BROKEN = "broken"
MOST_PASSES = 12


def config(price: int = 3, *, name: str = "fruit", path: str = "fruit:app") -> str:
    """Return a Serve configuration; the import path BROKEN never runs."""
    listed = [{"name": name, "import_path": path, "args": {"price": price}}]
    return json.dumps({"applications": listed})


def cluster_config(image: str = "rayproject/ray:2.46.0", **fields: Any) -> dict[str, Any]:
    """Return a `rayClusterConfig` of a head and a worker with that image."""
    template = builders.template("ray-head")
    template["spec"]["containers"][0] |= {"image": image}
    return {
        "rayVersion": "2.46.0",
        "headGroupSpec": {"rayStartParams": {}, "template": template},
        "workerGroupSpecs": [builders.group()],
    } | fields


@dataclass(slots=True, kw_only=True)
class Cluster:
    """A RayCluster as it is stored, its Pods, and Serve in it."""

    manifest: dict[str, Any]
    created_at: datetime
    head_label: str = "false"
    has_head: bool = True
    applied: dict[str, Any] | None = None
    applied_at: datetime | None = None
    deleted_at: datetime | None = None
    puts: int = 0
    is_slow: bool = False
    worker_is_ready: bool = True

    def proxy(self, wanted: serve_records.ServeInquiry) -> serve_records.Proxy:
        """Answer for the head's Serve proxy."""
        if not wanted.port or self.applied is None:
            return serve_records.Proxy.REFUSES
        return serve_records.Proxy.SLOW if self.is_slow else serve_records.Proxy.SERVES


class World:
    """One RayService, its clusters and Services, and its operator."""

    def __init__(self, **spec: Any) -> None:
        self.now = builders.NOW
        self.options: settings.Settings = builders.SETTINGS
        self.spec: dict[str, Any] = {
            "rayClusterConfig": cluster_config(),
            "serveConfigV2": config(),
        } | spec
        self.annotations: dict[str, str] = {}
        self.generation = 1
        self.finalizers: list[str] = []
        self.is_deleted = False
        self.status: dict[str, Any] = {}
        self.clusters: dict[str, Cluster] = {}
        self.services: dict[str, records.Service] = {}
        self.refused: set[str] = set()
        """Names, or kinds, of which nothing can be made."""
        self.made: list[str] = []
        self.told: list[str] = []
        self.writes = 0
        self.dark_seconds = 0
        self._had_light = False
        self._answers: dict[str, serve_records.ServeAnswer] = {}
        self._inquiries: dict[str, serve_records.ServeInquiry] = {}
        self._endpoints = observed.Endpoints(since=self.now)

    # What users do

    def edit(self, **spec: Any) -> None:
        """Change the spec; a field given as None is removed."""
        changed = self.spec | spec
        self.spec = {key: each for key, each in changed.items() if each is not None}
        self.generation += 1

    # What is seen

    @property
    def active(self) -> str:
        return str((self.status.get("activeServiceStatus") or {}).get("rayClusterName", ""))

    @property
    def pending(self) -> str:
        return str((self.status.get("pendingServiceStatus") or {}).get("rayClusterName", ""))

    def condition(self, type_: str) -> dict[str, Any]:
        said = self.status.get("conditions", ())
        return next((dict(each) for each in said if each["type"] == type_), {})

    def service(self) -> api.RayService:
        metadata: dict[str, Any] = {
            "name": "svc",
            "namespace": "ns1",
            "uid": UID,
            "generation": self.generation,
            "resourceVersion": "7",
            "finalizers": self.finalizers,
            "annotations": self.annotations,
        }
        if self.is_deleted:
            metadata["deletionTimestamp"] = self.now.isoformat()
        manifest = {"metadata": metadata, "spec": self.spec, "status": self.status}
        return api.RayService.model_validate_json(msgspec.json.encode(manifest))

    def seen(self) -> observed.Observed:
        return observed.Observed(
            clusters={name: self._model(each) for name, each in self.clusters.items()},
            pods={name: tuple(self.pods(name)) for name in self.clusters},
            services=tuple(self.services.values()),
            endpoints=self._endpoints,
            serve=self._answers,
        )

    def pods(self, name: str) -> Iterable[records.Pod]:
        """Return the Pods of a cluster, which are up after a while."""
        cluster = self.clusters[name]
        is_up = self.now >= cluster.created_at + UP_AFTER
        going = {"deletion_at": self.now} if cluster.deleted_at else {}
        owner = records.Owner("RayCluster", name, cluster.manifest["metadata"]["uid"])
        for node_type, label in (("head", cluster.head_label), ("worker", "true")):
            if node_type == "head" and not cluster.has_head:
                continue
            is_well = cluster.worker_is_ready and self._serves(cluster)
            is_ready = is_up and (node_type == "head" or is_well)
            state = "running" if is_up else "waiting"
            yield builders.pod(
                f"{name}-{node_type}",
                node_type=node_type,
                labels={
                    names.CLUSTER_LABEL: name,
                    names.NODE_TYPE_LABEL: node_type,
                    names.SERVE_LABEL: label,
                },
                owner=owner,
                ip=f"{name}/{node_type}" if is_up else "",
                ready=is_ready,
                phase="Running" if is_up else "Pending",
                containers=(records.Container(f"ray-{node_type}", is_ready, state=state),),
                **going,
            )

    # What the operator does

    def passes(self, *, most: int | None = None, writes: bool = True) -> None:
        """Make passes until nothing changes; end after `most` actions, or before the status."""
        for _ in range(MOST_PASSES):
            before = self._facts()
            self._pass(most, writes=writes)
            if self._facts() == before or most is not None or not writes:
                return
        raise AssertionError(f"passes without end: {self.status}")

    def _pass(self, most: int | None, *, writes: bool) -> None:
        service = self.service()
        decided = plan.plan(service, self.seen(), self.options, self.now)
        wanted = plan.wanted(service, self.seen(), decided, self.now, options=self.options)
        self._inquiries = dict(wanted or {})
        self._answers = {key: each for key, each in self._answers.items() if key in (wanted or ())}
        results = tuple(self._carry_out(each) for each in decided.actions[:most])
        if most is not None or not writes:
            self._answers, self._inquiries = {}, {}  # the operator starts anew
            return
        outcome = actions.Outcome(results=results, invalid=decided.invalid)
        written = status.next_status(service, self.seen(), outcome, self.now, options=self.options)
        self.told += [each.reason for each in decided.events]
        if written is not None and written != self.status:
            self.told += [each.reason for each in transitions.events(service, written)]
            self.status = msgspec.json.decode(msgspec.json.encode(written))
            self.writes += 1

    def _carry_out(self, action: actions.Action) -> actions.Result:
        if isinstance(action, actions.Create | actions.Apply):
            name = action.manifest["metadata"]["name"]
            if self.refused & {name, action.resource.kind}:
                return actions.Result(action=action, name=name, error=errors.Invalid("refused"))
        else:
            name = action.name
        self._apply(action)
        return actions.Result(action=action, name=name)

    def _apply(self, action: actions.Action) -> None:
        resource = action.resource
        if isinstance(action, actions.Create):
            name = action.manifest["metadata"]["name"]
            assert resource == records.RAYCLUSTERS
            assert name not in self.clusters
            manifest = json.loads(json.dumps(action.manifest))
            manifest["metadata"] |= {"uid": f"uid-{len(self.made)}", "resourceVersion": "1"}
            manifest["metadata"]["creationTimestamp"] = self.now.isoformat()
            self.clusters[name] = Cluster(manifest=manifest, created_at=self.now)
            self.made.append(name)
        elif isinstance(action, actions.Apply):
            self._apply_service(action.manifest)
        elif isinstance(action, actions.Patch) and resource == records.SERVICES:
            selector = action.change["spec"]["selector"]
            found = self.services[action.name]
            self.services[action.name] = msgspec.structs.replace(found, selector=selector)
        elif isinstance(action, actions.Delete) and resource == records.SERVICES:
            del self.services[action.name]
        elif isinstance(action, actions.Delete):
            self.clusters[action.name].deleted_at = self.now
        elif resource == records.RAYSERVICES:
            self.finalizers = list(action.change["metadata"]["finalizers"])
        elif resource == records.PODS:
            label = action.change["metadata"]["labels"][names.SERVE_LABEL]
            self.clusters[action.name.removesuffix("-head")].head_label = label
        else:
            manifest = self.clusters[action.name].manifest
            _merge(manifest, dict(action.change))

    def _apply_service(self, manifest: Any) -> None:
        metadata, spec = manifest["metadata"], manifest["spec"]
        self.services[metadata["name"]] = records.Service(
            namespace="ns1",
            name=metadata["name"],
            uid=f"uid-{metadata['name']}",
            resource_version="1",
            labels=metadata["labels"],
            annotations=metadata["annotations"],
            owner=records.Owner("RayService", "svc", UID),
            cluster_ip=spec.get("clusterIP", "10.96.0.1"),
            ports=tuple(
                records.ServicePort(
                    each.get("name", ""), each["port"], each["port"], each.get("nodePort", 0)
                )
                for each in spec["ports"]
            ),
            selector=spec["selector"],
        )

    # What time does

    def elapse(self, seconds: int = 1, *, passes: bool = True) -> None:
        """Let time go by; an operator that is down neither asks nor passes."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            for name, each in list(self.clusters.items()):
                if each.deleted_at and self.now >= each.deleted_at + GONE_AFTER:
                    del self.clusters[name]
                    self._answers.pop(name, None)
            self._count()
            if passes:
                self._poll()
                self.passes()

    def settle(self, seconds: int = 40) -> "World":
        """Let passes and time go by."""
        self.passes()
        self.elapse(seconds)
        return self

    def behind(self) -> list[str]:
        """Return the Pods that take the requests to the serve Service."""
        service = services.leading(self.service(), list(self.services.values()))
        cluster = service.selector[names.CLUSTER_LABEL] if service else ""
        return [
            pod.name
            for pod in (self.pods(cluster) if cluster in self.clusters else ())
            if pod.labels[names.SERVE_LABEL] == "true" and pod.ready and not pod.deletion_at
        ]

    def _count(self) -> None:
        count = len(self.behind())
        self._had_light = (self._had_light or bool(count)) and not self.spec.get("suspend")
        self.dark_seconds += self._had_light and not count
        is_same = bool(count) is bool(self._endpoints.count)
        since = self._endpoints.since if is_same else self.now
        self._endpoints = observed.Endpoints(count=count, since=since)

    def _poll(self) -> None:
        """Answer as pollers would."""
        for name, wanted in self._inquiries.items():
            cluster = self.clusters.get(name)
            answer = self._answers.get(name, serve_records.ServeAnswer())
            is_up = cluster is not None and self.now >= cluster.created_at + UP_AFTER
            if cluster is None or not is_up or not cluster.has_head:
                since = answer.unanswered_since or self.now
                self._answers[name] = msgspec.structs.replace(
                    answer, error="no answer", unanswered_since=since, running_since=None
                )
                continue
            applied = answer.applied or wanted.applied
            lacks = wanted.config is not None and (
                applied != wanted.digest or cluster.applied is None
            )
            if lacks and wanted.config is not None:
                cluster.applied, cluster.applied_at = dict(wanted.config), self.now
                cluster.puts += 1
                applied = wanted.digest
            state = self._state(cluster)
            runs = not lacks and bool(state.applications) and self._serves(cluster)
            self._answers[name] = serve_records.ServeAnswer(
                state=state,
                applied=applied,
                running_since=(answer.running_since or self.now) if runs else None,
                head_proxy=cluster.proxy(wanted),
            )

    def _state(self, cluster: Cluster) -> serve_records.ServeState:
        if cluster.applied is None or cluster.applied_at is None:
            return serve_records.ServeState()
        is_over = self.now >= cluster.applied_at + RUN_AFTER
        found = {}
        for each in cluster.applied["applications"]:
            end = "DEPLOY_FAILED" if each["import_path"] == BROKEN else "RUNNING"
            found[each["name"]] = serve_records.Application(end if is_over else "DEPLOYING", end)
        name = cluster.manifest["metadata"]["name"]
        return serve_records.ServeState(
            applications=found, proxies=frozenset({f"{name}/head", f"{name}/worker"})
        )

    def _serves(self, cluster: Cluster) -> bool:
        states = self._state(cluster).applications.values()
        return bool(states) and all(each.status == "RUNNING" for each in states)

    def _model(self, cluster: Cluster) -> cluster_api.RayCluster:
        manifest = json.loads(json.dumps(cluster.manifest))
        if cluster.deleted_at:
            manifest["metadata"]["deletionTimestamp"] = cluster.deleted_at.isoformat()
        return cluster_api.RayCluster.model_validate_json(json.dumps(manifest))

    def _facts(self) -> object:
        stored = json.dumps([each.manifest for each in self.clusters.values()])
        deleted = [each.deleted_at for each in self.clusters.values()]
        labels = [each.head_label for each in self.clusters.values()]
        kept = {key: each for key, each in self.status.items() if key != "lastUpdateTime"}
        services = dict(self.services)
        return stored, deleted, labels, json.dumps(kept), services, list(self.finalizers)


def _merge(target: dict[str, Any], change: dict[str, Any]) -> None:
    for key, each in change.items():
        if each is None:
            target.pop(key, None)
        elif isinstance(each, dict) and isinstance(target.get(key), dict):
            _merge(target[key], each)
        else:
            target[key] = each
