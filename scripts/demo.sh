#!/usr/bin/env bash
# Show the operator at work on the local cluster: install it, make a Ray cluster, run a job on it.
# Safe to repeat; `make demo` brings up the cluster and the images first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$($LOCALCLUSTER path):$PATH"
KUBECONFIG="$($LOCALCLUSTER kubeconfig)"
export PATH KUBECONFIG
readonly cluster=raycluster-kuberay deadline=300

say() { printf '\n=== %s\n' "$*"; }

say "Installing the operator"
kubectl apply --server-side --force-conflicts -f charts/ray-operator/crds
helm upgrade --install kuberay-operator charts/ray-operator \
  --namespace ray-system --create-namespace
# The tag of the image is always the same: restart, so that the newest build runs.
kubectl -n ray-system rollout restart deployment kuberay-operator
kubectl -n ray-system rollout status deployment kuberay-operator --timeout 120s

say "Applying samples/ray-cluster.sample.yaml"
kubectl apply -f samples/ray-cluster.sample.yaml
generation=$(kubectl get raycluster "$cluster" -o 'jsonpath={.metadata.generation}')
until
  read -r observed state < <(kubectl get raycluster "$cluster" \
    -o 'jsonpath={.status.observedGeneration} {.status.state}{"\n"}') || true
  [[ "$observed" == "$generation" && "$state" == ready ]]
do
  if ((SECONDS > deadline)); then
    kubectl describe raycluster "$cluster"
    kubectl describe pods -l "ray.io/cluster=$cluster"
    kubectl logs -l "ray.io/cluster=$cluster" --prefix --tail 50
    kubectl -n ray-system logs deployment/kuberay-operator --tail 50
    echo "$cluster is not ready after $deadline s" >&2
    exit 1
  fi
  printf '%4d s  state: %-10s %s\n' "$SECONDS" "${state:--}" \
    "$(kubectl get pods -l "ray.io/cluster=$cluster" --no-headers 2>/dev/null |
       awk '{ printf "%s %s %s  ", $1, $2, $3 }')"
  sleep 3
done
echo "$cluster is ready"

say "Running a Ray job: one task on every node"
nonce=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
head=$(kubectl get raycluster "$cluster" -o 'jsonpath={.status.head.podName}')
log=$(mktemp)
trap 'rm -f "$log"' EXIT
kubectl exec -i "$head" -c ray-head -- bash -c 'cat > /tmp/every_node.py
  ray job submit --address http://127.0.0.1:8265 -- python /tmp/every_node.py "$0"' "$nonce" \
  < scripts/every_node.py | tee "$log"

ran_on=$(awk -v nonce="$nonce" '$1 == nonce { print $3 }' "$log" | sort)
pods=$(kubectl get pods -l "ray.io/cluster=$cluster" \
  -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort)
if [[ -z "$ran_on" || "$ran_on" != "$pods" ]]; then
  printf 'tasks ran on:\n%s\nbut the Pods are:\n%s\n' "$ran_on" "$pods" >&2
  exit 1
fi

say "Every Pod of the Ray cluster ran a task"
kubectl get rayclusters,pods
