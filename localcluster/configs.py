"""The components' configuration files.

Owns their content; pure, apart from `write`. Deliberately knows neither how the components are
started (`components`) nor what runs on top of them (`addons`). Invariant: every path in a
configuration is absolute and means the same inside and outside the cluster's mount namespace,
except those under /run, which exist inside only.
"""

import json
import pathlib

import yaml

from localcluster import paths, pki, topology

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
_EVICTION = {
    "memory.available": "200Mi",
    "nodefs.available": "1%",
    "nodefs.inodesFree": "1%",
    "imagefs.available": "1%",
}


def containerd(
    cluster: paths.Cluster, node: topology.Node, *, address: str | None = None, cri: bool = True
) -> str:
    """Render containerd's configuration; without `cri` it only serves its own API, for upkeep."""
    plugin = '[plugins."io.containerd.grpc.v1.cri"'
    disabled = [] if cri else ["io.containerd.grpc.v1.cri"]
    return f"""\
version = 2
root = "{cluster.containerd_root(node.name)}"
state = "/run/containerd-{node.name}"
disabled_plugins = {json.dumps(disabled)}
[grpc]
  address = "{address or node.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/run/containerd-{node.name}/opt"
{plugin}]
  # Where CAP_SYS_RESOURCE is missing, lowering a score fails and every sandbox with it.
  restrict_oom_score_adj = true
  # It would load a profile into the host's kernel.
  disable_apparmor = true
  sandbox_image = "{PAUSE_IMAGE}"
  {plugin}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cluster.cni_config(node.name)}"
  {plugin}.containerd]
    snapshotter = "overlayfs"
    {plugin}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      {plugin}.containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni(node: topology.Node) -> str:
    """Render the Pod network: each Pod a routed point-to-point link.

    A bridge would need br_netfilter, a module of the host, for Services between Pods of one node.
    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": node.pod_cidr}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": f"/run/cni/{node.name}",
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": 65000, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    network = {"cniVersion": "0.4.0", "name": f"pods-{node.name}", "plugins": plugins}
    return json.dumps(network, indent=2)


def kubelet(cluster: paths.Cluster, node: topology.Node) -> str:
    """Render the kubelet's configuration."""
    pki_folder = cluster.pki
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzBindAddress": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki_folder / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki_folder / f"{node.name}.crt"),
        "tlsPrivateKeyFile": str(pki_folder / f"{node.name}.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.control_group}/{node.name}",
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "clusterDNS": [topology.SERVICE_DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        "podLogsDir": str(cluster.pod_logs(node.name)),
        "volumePluginDir": str(cluster.kubelet_root(node.name) / "volume-plugins"),
        "maxPods": topology.MAX_PODS,
        "failSwapOn": False,
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "evictionHard": _EVICTION,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "volumeStatsAggPeriod": "-1s",
        "enableProfilingHandler": False,
        "shutdownGracePeriod": "0s",
        "registryPullQPS": 0,
        "eventRecordQPS": 50,
    }
    return yaml.safe_dump(content, sort_keys=False)


def kube_proxy(cluster: paths.Cluster) -> str:
    """Render kube-proxy's configuration; one serves all nodes, which share a network namespace."""
    content = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": topology.POD_CIDR,
        "hostnameOverride": topology.Node(1).name,
        "clientConnection": {"kubeconfig": str(cluster.config / "proxy.kubeconfig")},
        # The limits of connection tracking are the host's: left alone.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "200ms"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    return yaml.safe_dump(content, sort_keys=False)


def audit_policy() -> str:
    """Render the audit policy: what service accounts did, the control plane's own left out."""
    content = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None"},
        ],
    }
    return yaml.safe_dump(content, sort_keys=False)


def files(cluster: paths.Cluster, nodes: tuple[topology.Node, ...]) -> dict[pathlib.Path, str]:
    """Render every configuration file, keyed by its path."""
    rendered = {
        cluster.config / "audit-policy.yaml": audit_policy(),
        cluster.config / "kube-proxy.yaml": kube_proxy(cluster),
        cluster.config / "resolv.conf": f"nameserver {topology.OUTSIDE_DNS_ADDRESS}\n",
    }
    for node in nodes:
        name = node.name
        upkeep = f"/run/upkeep-{name}.sock"
        rendered |= {
            cluster.config / f"containerd-{name}.toml": containerd(cluster, node),
            cluster.config / f"upkeep-{name}.toml": containerd(
                cluster, node, address=upkeep, cri=False
            ),
            cluster.config / f"kubelet-{name}.yaml": kubelet(cluster, node),
            cluster.cni_config(name) / "10-pods.conflist": cni(node),
        }
    return rendered


def write(cluster: paths.Cluster, nodes: tuple[topology.Node, ...], *, host_port: int) -> None:
    """Write all configurations, certificates and kubeconfigs of a new cluster."""
    for path, content in files(cluster, nodes).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    cluster.audit_log.parent.mkdir(parents=True, exist_ok=True)
    authority = pki.create(cluster.pki, nodes)
    inside = f"https://{topology.API_ADDRESS}:{topology.API_PORT}"
    names = ["admin", "controller-manager", "scheduler", "proxy", *(node.name for node in nodes)]
    for name in names:
        target = cluster.config / f"{name}.kubeconfig"
        authority.kubeconfig(name, server=inside, to=target, context=name)
    outside = f"https://127.0.0.1:{host_port}"
    context = f"localcluster-{cluster.name}"
    authority.kubeconfig("admin", server=outside, to=cluster.kubeconfig, context=context)
