import { coordinatorSeries } from '@showtell/coordinator/metrics.js';
import { shardSeries } from '@showtell/coordinator/parameter-server/shard-metrics.js';
import { operatorSeries } from '@showtell/coordinator/kubernetes/operator/metrics.js';
import { workerSeries } from '@showtell/worker/metrics.js';
import { serveSeries } from '@showtell/worker/serve/metrics.js';
import { cell, generated, table } from './markdown.mjs';

function seriesTable(series) {
  return table(
    ['series', 'type', 'unit', 'labels', 'what it tells'],
    Object.values(series).map(({ name, type, unit, labels, help }) => [
      `\`${name}\``,
      type,
      unit || '–',
      Object.entries(labels)
        .map(([label, values]) => `\`${label}\`: ${cell(values)}`)
        .join('<br>') || '–',
      cell(help),
    ]),
  );
}

export function metricsPage() {
  return `# Metrics

${generated}

Every role serves its series at \`/metrics\`, as Prometheus reads them, and answers \`/healthz\` (200 while it lives) and
\`/readyz\` (200 when it can take work, otherwise 503 and the reason). Beside the series below, each process gives
prom-client's own: \`process_*\` (memory, processor time, open files) and \`nodejs_*\` (event loop, heap, garbage).

## Coordinator

The parameter server in the coordinator's process included. Source: \`packages/coordinator/src/metrics.ts\`.

${seriesTable(coordinatorSeries)}

## Shard of the parameter server

\`showtell ps\`. Source: \`packages/coordinator/src/parameter-server/shard-metrics.ts\`.

${seriesTable(shardSeries)}

## Worker

Source: \`packages/worker/src/metrics.ts\`.

${seriesTable(workerSeries)}

## Captions over HTTP

\`showtell serve\`. Source: \`packages/worker/src/serve/metrics.ts\`.

${seriesTable(serveSeries)}

## Operator

\`showtell operator\`. Source: \`packages/coordinator/src/kubernetes/operator/metrics.ts\`.

${seriesTable(operatorSeries)}

**Next:** [watching runs](observability.md)
`;
}
