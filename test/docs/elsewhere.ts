/** The Dockerfile’s steps, without Docker. */
const docker = ['test/long/images.test.ts', 'await build.build(target)'] as const;

const secured = (does: string) => ['test/integration/security/commands.test.ts', does] as const;

/** Commands of the documentation that other tests run: the file, and what in it does. */
export const elsewhere: Readonly<Record<string, readonly [file: string, does: string]>> = {
  'npm ci && npm test': ['.ci/run', 'npm ci && npm test'],
  'npm ci': ['.ci/run', 'npm ci && npm test'],
  'npm test': ['.ci/run', 'npm test'],
  'npm run check': ['package.json', '"test": "npm run --silent check '],
  'npm run gen': ['test/e2e/release.test.ts', "release('0.2.0', '--untested')"],
  'npm ci && npm run demo': ['test/e2e/packed.test.ts', "'showtell', 'demo'"],
  'npm install @showtell/coordinator && npx showtell demo': ['test/e2e/packed.test.ts', "'showtell', 'demo'"],
  'npm install @showtell/coordinator': ['test/e2e/packed.test.ts', "'npm', ['install'"],
  'npm run release -- minor --dry-run': ['test/e2e/release.test.ts', "release('minor', '--dry-run')"],
  'npm run release -- minor': ['test/e2e/release.test.ts', "release('0.2.0', '--untested')"],
  'npm run faults -- --seeds 20': ['test/faults/faults.test.ts', 'runSeeds(lab, seeds'],
  'docker build --file deploy/images/Dockerfile --target coordinator --tag showtell/coordinator:0.1.0 .': docker,
  'docker build --file deploy/images/Dockerfile --target worker --tag showtell/worker:0.1.0 .': docker,
  'node tools/check-dependencies.mjs': ['test/unit/tools/dependencies.test.ts', "'tools/check-dependencies.mjs'"],
  'npm run fuzz -- --runs 1000000 --jobs 2': ['test/fuzz/main.test.ts', "fuzz('--target'"],
  'npm run fuzz -- --target tensorflow-v2 --runs 20000': ['test/fuzz/main.test.ts', "fuzz('--target'"],
  'node tools/sbom.mjs root > worker.cdx.json': ['test/long/images.test.ts', "'tools/sbom.mjs'"],
  'npm run --silent sbom > sbom.cdx.json': ['test/e2e/release.test.ts', 'tools/sbom.mjs'],
  'apt-get install -y python3 python3-pip g++': ['deploy/images/Dockerfile', 'python3 python3-pip g++'],
  'node deploy/prometheus/targets.mjs --watch runs': [
    'test/observability/local-run.test.ts',
    "`${folder}/targets.mjs`,\n        '--watch',",
  ],
  'prometheus --config.file=deploy/prometheus/prometheus.yml': [
    'test/observability/local-run.test.ts',
    "Prometheus.start(cluster.at('prometheus.yml'))",
  ],
  'promtool check rules deploy/prometheus/rules.yaml': [
    'test/observability/rules.test.ts',
    "promtool('check', 'rules'",
  ],
  'promtool test rules deploy/prometheus/rules.test.yaml': [
    'test/observability/rules.test.ts',
    "promtool('test', 'rules'",
  ],
  'npx showtell top runs/a': ['test/integration/top.test.ts', "process.execPath, showtell, 'top', run]"],
  'OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.01 npx showtell train examples/jobs/scenes-small.yaml --run runs/traced --data data/scenes --workers 2':
    [
      'test/observability/traces.test.ts',
      'cluster.trained(run, withEnvironment(`OTEL_EXPORTER_OTLP_ENDPOINT=${receiver.endpoint}`))',
    ],
  'showtell data push data/mscoco --nats nats://nats:4222 --bucket mscoco': [
    'test/integration/data/bucket.test.ts',
    "['data', 'push', directory, '--nats', url, '--bucket', 'b', '--json']",
  ],
  'showtell data push data/mscoco --nats nats://127.0.0.1:4222 --bucket mscoco': [
    'test/integration/data/bucket.test.ts',
    "['data', 'push', directory, '--nats', url, '--bucket', 'b', '--json']",
  ],
  'showtell train job.yaml --run runs/a --data nats://nats:4222/mscoco': [
    'test/integration/data/bucket.test.ts',
    "local.trained(local.at('bucket'), { workers: 2, data })",
  ],
  'showtell board runs/demo': ['test/page/board.test.ts', "board([cluster.at('ended')])"],
  'showtell board runs/a runs/b': ['test/page/board.test.ts', "board([cluster.at('first'), cluster.at('second')])"],
  'showtell board runs/demo --host 0.0.0.0 --token-file token': [
    'test/page/board.test.ts',
    "'--token-file', cluster.at('token')",
  ],
  'showtell certs certs': secured("'certs', certs]"),
  'showtell certs certs --renew': secured("'certs', certs, '--renew'"),
  'showtell certs certs --host coordinator.lab --host nats.lab': secured("'--host', 'nats.lab'"),
  'showtell train job.yaml --run runs/a --tls certs': secured("args: ['--tls', certs]"),
  'showtell status runs/a --tls certs': secured("['status', run, '--tls', certs]"),
  'showtell job logs captions --follow': ['test/kube/job-commands.test.ts', "['logs', 'captions'"],
};

/** What no test runs, and why; `docs/README.md` says so too. */
export const byHand: Readonly<Record<string, string>> = {
  'kubectl port-forward captions-nats-0 4222 &': 'a kubelet forwards ports; the one of the tests does not',
  'kubectl port-forward deployment/showtell-serve 8080': 'likewise',
  'kubectl port-forward pod/NAME-coordinator-0 9464': 'likewise',
  'npm run bench': 'figures want a quiet machine and a quarter of an hour',
  'npm run bench -- --json': 'likewise',
  'npm run bench -- --only exchange': 'likewise',
  'PROMETHEUS_URL=http://localhost:9090 SHOWTELL_DASHBOARDS=$PWD/deploy/grafana GF_PATHS_PROVISIONING=$PWD/deploy/grafana/provisioning grafana server --homepath /usr/share/grafana':
    'Grafana is in no registry that a test may fetch it from',
  'docker build --file deploy/images/Dockerfile --target worker-cuda --tag showtell/worker-cuda:0.1.0 .':
    'it fetches 3.4 GB; its steps differ from worker’s by an option',
  'docker buildx imagetools inspect node:20.20.2-bookworm-slim': 'asks a registry of images, and there is no Docker',
  'docker build --build-arg NODE=node:20.20.2-bookworm-slim@sha256:… --file deploy/images/Dockerfile --target worker .':
    'there is no Docker',
  'docker export $(docker create showtell/worker:0.1.0) | tar -x -C root': 'there is no Docker',
};
