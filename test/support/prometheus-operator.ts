import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Kube } from './kube.js';

/** The prometheus-operator's own definitions of what deploy/ has for it, from its Go module. @returns false where it cannot be had */
export function installPrometheusDefinitions(kube: Kube): boolean {
  const module = 'github.com/prometheus-operator/prometheus-operator@v0.80.1';
  const { status, stdout } = spawnSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8' });
  if (status !== 0) return false;
  const { Dir: folder } = JSON.parse(stdout) as { Dir: string };
  for (const kind of ['podmonitors', 'prometheusrules']) {
    const file = join(folder, 'example/prometheus-operator-crd', `monitoring.coreos.com_${kind}.yaml`);
    kube.must(['apply', '--server-side', '-f', '-'], readFileSync(file, 'utf8'));
    kube.must(['wait', '--for=condition=Established', `crd/${kind}.monitoring.coreos.com`, '--timeout=30s']);
  }
  return true;
}
