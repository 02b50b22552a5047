import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { haveTensorflow } from '../support/tensorflow.js';
import { tableOf } from './report.js';
import { clusters } from './lab-job.js';
import { Lab } from './lab.js';
import { runSeeds } from './run-seeds.js';
import { drawSchedule, tell } from './schedule.js';

const help = `Usage: npm run faults -- [options]

does seeded faults to real runs and checks that nothing is lost

Options:
  --seeds N        how many seeds (default: 20)
  --from S         the first one (default: 1)
  --seed S         this one alone
  --chain N        do the schedules of N seeds to one run, one after the other (default: 1)
  --at-once N      runs side by side (default: 2)
  --cluster NAME   whole, shards (of the parameter server) or asynchronous (default: whole)
  --engine NAME    tensorflow or wasm (default: tensorflow, where it is set up)
  --report FILE    write the counts by fault as a table
  --keep-going     go on after a seed that fails
  --shrink         leave faults out of a failing schedule as long as it fails
  --list           print the schedules, do nothing
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    'at-once': { type: 'string', default: '2' },
    chain: { type: 'string', default: '1' },
    cluster: { type: 'string', default: 'whole' },
    engine: { type: 'string' },
    report: { type: 'string' },
    'keep-going': { type: 'boolean' },
    shrink: { type: 'boolean' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});

const cluster = clusters.find((name) => name === values.cluster);
if (cluster === undefined) throw new RangeError(`--cluster takes one of ${clusters.join(', ')}`);
const from = Number(values.seed ?? values.from);
const seeds = Array.from({ length: values.seed === undefined ? Number(values.seeds) : 1 }, (_, i) => from + i);

if (values.help === true) console.log(help);
else if (values.list === true) for (const seed of seeds) console.log(tell(drawSchedule(seed, new Set(), cluster)));
else process.exitCode = await main();

async function main(): Promise<number> {
  const engine = values.engine === 'wasm' || !haveTensorflow ? 'wasm' : 'tensorflow';
  await using lab = await Lab.open(engine);
  for (const [ability, why] of lab.lacking) console.log(`faults that need ${ability} are left out: ${why}`);
  const results = await runSeeds(lab, seeds, {
    atOnce: Number(values['at-once']),
    chained: Number(values.chain),
    keepGoing: values['keep-going'] === true,
    shrinks: values.shrink === true,
    ...(cluster === undefined ? {} : { cluster }),
    say: (text) => console.log(text),
    signal: interrupted(),
  });
  const table = tableOf(results);
  console.log(table);
  if (values.report !== undefined) writeFileSync(values.report, table);
  const done = results.reduce((sum, { schedule }) => sum + schedule.schedules, 0);
  return results.every(({ complaints }) => complaints.length === 0) && done === seeds.length ? 0 : 1;
}

/** Ctrl-C leaves no process and no mount behind; it may come twice, by the terminal and from tsx. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => controller.abort());
  return controller.signal;
}
