import { errorTable } from '@showtell/shared/errors.js';
import { toldToLeave } from '@showtell/shared/service/worker-exit.js';
import { version } from '@showtell/shared/version.js';
import type { Manifest } from './manifest.js';
import { metadataOf, nameOf, ports, selectorOf } from './naming.js';
import {
  cacheFolder,
  containerSecurity,
  dataAccess,
  httpGet,
  jobVolume,
  podTemplate,
  resourcesOf,
  serviceAccount,
  temporary,
  tlsAccess,
  tracingVariables,
} from './pod.js';
import type { TrainingJob } from './training-job.js';

const { exit: usage } = errorTable['usage/invalid'];

/** How providers mark the nodes that they may take away: taint and label in one. */
const spotNodes = [
  { key: 'cloud.google.com/gke-spot', value: 'true' },
  { key: 'kubernetes.azure.com/scalesetpriority', value: 'spot' },
  { key: 'karpenter.sh/capacity-type', value: 'spot' },
  { key: 'eks.amazonaws.com/capacityType', value: 'SPOT' },
] as const;

/**
 * The workers: a Job without completions, which is a work queue. Its pods come and go with its parallelism; whoever
 * ends with exit code 0 says that the run is complete.
 */
export function workerObjects(job: TrainingJob): Manifest[] {
  const { spec } = job;
  const { replicas } = spec.workers;
  return [
    serviceAccount(job, 'worker'),
    ...(replicas < 2 ? [] : [disruptionBudget(job)]),
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: metadataOf(job, nameOf(job, 'worker'), 'worker'),
      spec: {
        parallelism: replicas,
        suspend: spec.suspend,
        backoffLimit: 1000,
        podReplacementPolicy: 'Failed',
        ...(spec.activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds: spec.activeDeadlineSeconds }),
        podFailurePolicy: {
          rules: [
            { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
            {
              action: 'Ignore',
              onExitCodes: { containerName: 'worker', operator: 'In', values: [toldToLeave] },
            },
            // Starting again cannot mend a wrong command line.
            { action: 'FailJob', onExitCodes: { containerName: 'worker', operator: 'In', values: [usage] } },
          ],
        },
        template: podTemplate(job, 'worker', 120, workerPod(job)),
      },
    },
  ];
}

/** Half of them stay when nodes are drained: slower, not still. For pods of a Job only a number is taken. */
function disruptionBudget(job: TrainingJob): Manifest {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(job, nameOf(job, 'worker'), 'worker'),
    spec: {
      minAvailable: Math.floor(job.spec.workers.replicas / 2),
      selector: { matchLabels: selectorOf(job, 'worker') },
      // While the coordinator is away none is ready, and none is worth holding a drain up for.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}

function workerPod(job: TrainingJob) {
  const { spec } = job;
  const { gpus, nodeSelector } = spec.workers;
  const [data, file, tls] = [dataAccess(job), jobVolume(job), tlsAccess(job, 'worker')];
  const { requests, limits } = resourcesOf(spec.resources.workers);
  const image = spec.images.worker === '' ? `showtell/worker${gpus > 0 ? '-cuda' : ''}:${version}` : spec.images.worker;
  const tolerations = tolerationsOf(job);
  return {
    restartPolicy: 'Never',
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...(tolerations.length === 0 ? {} : { tolerations }),
    ...(spec.workers.preemptible ? { affinity: spotAffinity } : {}),
    containers: [
      {
        name: 'worker',
        image,
        command: ['showtell-worker'],
        args: [
          ...['--coordinator', `${nameOf(job, 'coordinator')}:${ports.grpc}`, '--job', '/etc/showtell/job.yaml'],
          ...['--data', data.place, '--id', '$(POD_NAME)', '--wait', '15m', '--until-complete'],
          ...['--metrics-host', '0.0.0.0', '--metrics-port', String(ports.workerHttp)],
        ],
        env: [
          { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'SHOWTELL_CACHE', value: cacheFolder },
          ...tls.env,
          ...tracingVariables(job),
        ],
        ports: [{ name: 'http', containerPort: ports.workerHttp }],
        startupProbe: { ...httpGet('/healthz', 'http'), periodSeconds: 5, failureThreshold: 60 },
        livenessProbe: { ...httpGet('/healthz', 'http'), timeoutSeconds: 5, failureThreshold: 12 },
        readinessProbe: { ...httpGet('/readyz', 'http'), timeoutSeconds: 5 },
        // Else the condition of the TrainingJob could say no more than an exit code.
        terminationMessagePolicy: 'FallbackToLogsOnError',
        resources: { requests, limits: gpus > 0 ? { ...limits, 'nvidia.com/gpu': gpus } : limits },
        securityContext: containerSecurity,
        volumeMounts: [
          ...data.mounts,
          ...tls.mounts,
          file.mount,
          temporary.mount,
          { name: 'features', mountPath: `${cacheFolder}/features` },
          ...(gpus > 0 ? [{ name: 'shm', mountPath: '/dev/shm' }] : []),
        ],
      },
    ],
    volumes: [
      ...data.volumes,
      ...tls.volumes,
      file.volume,
      temporary.volume,
      { name: 'features', emptyDir: { sizeLimit: spec.storage.features } },
      // 64 MiB otherwise, which CUDA's libraries outgrow.
      ...(gpus > 0 ? [{ name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '2Gi' } }] : []),
    ],
  };
}

function tolerationsOf({ spec }: TrainingJob): object[] {
  const { tolerations, gpus, preemptible } = spec.workers;
  return [
    ...tolerations,
    ...(gpus > 0 ? [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] : []),
    ...(preemptible ? spotNodes.map(({ key, value }) => ({ key, operator: 'Equal', value })) : []),
  ];
}

/** Rather there than elsewhere, and elsewhere rather than nowhere. */
const spotAffinity = {
  nodeAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: spotNodes.map(({ key, value }) => ({
      weight: 50,
      preference: { matchExpressions: [{ key, operator: 'In', values: [value] }] },
    })),
  },
};
