import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import { parseTrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';
import { dashboards } from '../support/dashboards.js';
import { rulesFile, textOf } from '../support/prometheus-rules.js';

type Labels = Readonly<Record<string, string>>;

interface PodTemplate {
  readonly metadata: { readonly labels: Labels };
  readonly spec: { readonly containers: readonly { readonly ports?: readonly { readonly name: string }[] }[] };
}

interface PodMonitorSpec {
  readonly selector: {
    readonly matchLabels?: Labels;
    readonly matchExpressions?: readonly {
      readonly key: string;
      readonly operator: string;
      readonly values: string[];
    }[];
  };
  readonly podTargetLabels: readonly string[];
  readonly podMetricsEndpoints: readonly { readonly port: string }[];
}

interface Built {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Labels };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;

describe.skipIf(!hasKubectl)('rules and dashboards for a cluster (need kubectl)', () => {
  const built = (folder: string): Built[] =>
    parseAllDocuments(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })).map(
      (document) => document.toJS() as Built,
    );

  it('the PrometheusRule has the rules', () => {
    const objects = built('deploy/prometheus');
    expect(objects.map(({ kind }) => kind)).toEqual(['PrometheusRule']);
    expect(objects[0]?.spec).toEqual(parse(textOf(rulesFile)));
  });

  it('the PodMonitor takes every role that has metrics, whichever way it was brought, and no other pod', () => {
    const alone = built('deploy/k8s/pod-monitor');
    expect(alone.map(({ kind }) => kind)).toEqual(['PodMonitor']);
    const overlay = built('deploy/k8s/overlays/monitoring');
    const [monitor] = overlay.filter(({ kind }) => kind === 'PodMonitor');
    expect(monitor).toEqual(alone[0]);
    const { selector, podMetricsEndpoints } = monitor?.spec as PodMonitorSpec;
    const { matchLabels = {}, matchExpressions = [] } = selector;
    expect(matchExpressions.every(({ operator }) => operator === 'In')).toBe(true);
    const isSelected = (labels: Labels): boolean =>
      Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
      matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''));

    const job = parseTrainingJob({ preset: 'demo' }, 'the preset demo', { name: 'a' });
    const { cluster } = job.spec.job;
    const sharded = renderJob({
      ...job,
      spec: { ...job.spec, job: { ...job.spec.job, cluster: { ...cluster, parameterShards: 2 } } },
    });
    const objects = [
      ...overlay,
      ...(sharded as unknown[]),
      ...built('deploy/k8s/serve'),
      ...built('deploy/k8s/operator'),
    ];
    const pods = objects.flatMap((object) => {
      const { template } = ((object as Built).spec ?? {}) as { readonly template?: PodTemplate };
      return template === undefined ? [] : [template];
    });
    const seen = pods.map(({ metadata: { labels }, spec }) => {
      const ports = spec.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name));
      const isScraped = podMetricsEndpoints.every(({ port }) => ports.includes(port));
      expect(isSelected(labels), JSON.stringify(labels)).toBe(isScraped);
      return `${labels['app.kubernetes.io/component'] ?? ''} ${isScraped ? 'scraped' : 'not'}`;
    });
    const roles = [
      'coordinator scraped',
      'nats not',
      'operator scraped',
      'ps scraped',
      'serve scraped',
      'worker scraped',
    ];
    expect([...new Set(seen)].sort()).toEqual(roles);
  });

  it('each dashboard is a ConfigMap that the sidecar finds', () => {
    const objects = built('deploy/grafana');
    expect(objects).toHaveLength(dashboards.length);
    for (const { kind, metadata, data } of objects) {
      expect(kind).toBe('ConfigMap');
      expect(metadata.labels['grafana_dashboard']).toBe('1');
      const [[name, text] = ['', '']] = Object.entries(data ?? {});
      expect(JSON.parse(text)).toEqual(new Map(dashboards).get(name));
    }
  });
});
