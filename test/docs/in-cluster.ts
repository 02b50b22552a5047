/** Commands of the documentation that want a cluster, in an order in which they do; `test/kube/documented.test.ts` runs them. */
export const inCluster = [
  'kubectl apply --server-side -k deploy/k8s/operator',
  'kubectl apply --server-side -k deploy/k8s/overlays/local',
  'showtell job render job.yaml --claim mscoco --workers 4 | kubectl apply --server-side -f -',
  'showtell job delete captions',
  'kubectl apply --server-side -f captions.yaml',
  'kubectl describe trainingjob captions',
  'kubectl scale trainingjob captions --replicas=8',
  'kubectl get trainingjobs -w',
  'showtell job submit job.yaml --claim mscoco --workers 4',
  'showtell job status captions',
  'showtell job scale captions 8',
  `kubectl patch trainingjob captions --type=merge --patch '{"metadata":{"finalizers":null}}'`,
  'kubectl delete trainingjobs --all --all-namespaces',
  'kubectl delete -k deploy/k8s/operator',
] as const;
