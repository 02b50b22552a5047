import { version } from '@showtell/shared/version.js';
import { resources, type Kind } from '../cluster/resources.js';
import type { Manifest } from '../manifest.js';
import { containerSecurity, httpGet, nobody, resourcesOf, scrapedAt } from '../pod.js';
import { objectKinds } from './object-kinds.js';

const name = 'showtell-operator';
const namespace = 'showtell-system';
const httpPort = 9466;
const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'operator' };

const groupOf = (kind: Kind): string => {
  const { apiVersion } = resources[kind];
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
};

const rule = (kind: Kind, verbs: readonly string[], subresource = '') => ({
  apiGroups: [groupOf(kind)],
  resources: [`${resources[kind].plural}${subresource}`],
  verbs: [...verbs],
});

/**
 * What the operator may do in the namespaces of jobs. It reads no Secret, starts no pod by itself and gives no rights:
 * there are no Roles among a job's objects.
 */
const rules = [
  // Patched only in its metadata: the finalizer that saves.
  rule('TrainingJob', ['get', 'list', 'watch', 'patch', 'delete']),
  rule('TrainingJob', ['patch'], '/status'),
  // Asked for by clusters that check who may hold up an owner's deletion.
  rule('TrainingJob', ['update'], '/finalizers'),
  ...objectKinds.map((kind) =>
    rule(kind, [
      'get',
      'list',
      'create',
      'patch',
      'delete',
      ...(['Job', 'StatefulSet'].includes(kind) ? ['watch'] : []),
    ]),
  ),
  rule('Pod', ['get', 'list']),
  // Those of its pods say why one does not start.
  rule('Event', ['list', 'create']),
];

/** The operator in a namespace of its own, with the rights that it needs and no more. */
export function operatorObjects(): Manifest[] {
  const rbac = 'rbac.authorization.k8s.io';
  const own = { name, namespace, labels };
  const account = { kind: 'ServiceAccount', name, namespace };
  const bound = (kind: string) => ({ roleRef: { apiGroup: rbac, kind, name }, subjects: [account] });
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: namespace,
        labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' },
      },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: own },
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name, labels }, rules },
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRoleBinding', metadata: { name, labels }, ...bound('ClusterRole') },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: own,
      rules: [rule('Lease', ['get', 'create', 'update'])],
    },
    { apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata: own, ...bound('Role') },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: own,
      spec: {
        podSelector: { matchLabels: labels },
        policyTypes: ['Ingress'],
        ingress: [{ ports: [{ protocol: 'TCP', port: httpPort }] }],
      },
    },
    deployment(own),
  ];
}

function deployment(metadata: Manifest['metadata']): Manifest {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      // A second one would wait for the lease: for those who want no pause of half a minute when a node goes.
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: {
          labels,
          annotations: scrapedAt(httpPort),
        },
        spec: {
          serviceAccountName: name,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 30,
          securityContext: nobody,
          containers: [
            {
              name: 'operator',
              image: `showtell/coordinator:${version}`,
              command: ['showtell', 'operator'],
              args: ['--host', '0.0.0.0', '--http-port', String(httpPort), '--lease-namespace', '$(POD_NAMESPACE)'],
              env: [{ name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } }],
              ports: [{ name: 'http', containerPort: httpPort }],
              startupProbe: { ...httpGet('/healthz', 'http'), periodSeconds: 2, failureThreshold: 30 },
              livenessProbe: { ...httpGet('/healthz', 'http'), timeoutSeconds: 5, failureThreshold: 6 },
              readinessProbe: { ...httpGet('/readyz', 'http'), timeoutSeconds: 5 },
              resources: resourcesOf({ cpu: '50m', memory: '256Mi' }),
              securityContext: containerSecurity,
            },
          ],
        },
      },
    },
  };
}
