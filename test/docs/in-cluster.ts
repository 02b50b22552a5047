/** Commands of the documentation that want a cluster, in an order in which they do; `test/kube/documented.test.ts` runs them. */
export const inCluster = [
  'kubectl apply --server-side -k deploy/k8s/operator',
  'kubectl apply --server-side -k deploy/k8s/overlays/local',
  'openssl rand -hex 16 | kubectl create secret generic NAME-page --from-file=token=/dev/stdin',
  'kubectl delete pod NAME-coordinator-0',
  'kubectl apply --server-side -k deploy/k8s/serve',
  'showtell job render job.yaml --claim mscoco --workers 4 | kubectl apply --server-side -f -',
  'showtell job delete captions',
  'showtell certs certs --host captions-coordinator --host captions-nats',
  'kubectl create secret generic captions-tls-coordinator --from-file=certs/coordinator',
  'kubectl create secret generic captions-tls-worker --from-file=certs/worker',
  'kubectl create secret generic captions-tls-nats --from-file=certs/nats',
  'kubectl create secret generic captions-tls-ps --from-file=certs/ps',
  'kubectl apply --server-side -f captions.yaml',
  'kubectl describe trainingjob captions',
  'kubectl scale trainingjob captions --replicas=8',
  'kubectl get trainingjobs -w',
  'showtell job submit job.yaml --claim mscoco --workers 4',
  'showtell job submit job.yaml --bucket mscoco',
  'showtell job status captions',
  'showtell job scale captions 8',
  'kubectl apply --server-side -k deploy/prometheus',
  'kubectl apply --server-side -k deploy/grafana',
  'kubectl apply --server-side -n default -k deploy/k8s/pod-monitor',
  'kubectl apply --server-side -n showtell-system -k deploy/k8s/pod-monitor',
] as const;

/** What takes away what those made: run after them. */
export const cleaningUp = [
  `kubectl patch trainingjob captions --type=merge --patch '{"metadata":{"finalizers":null}}'`,
  'kubectl delete trainingjobs --all --all-namespaces',
  'kubectl delete -k deploy/k8s/operator',
] as const;
