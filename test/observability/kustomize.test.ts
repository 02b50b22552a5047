import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { dashboards } from '../support/dashboards.js';
import { rulesFile, textOf } from '../support/prometheus-rules.js';

interface Built {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
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
