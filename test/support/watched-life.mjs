// A worker's life without its work: told to end it goes on for ever, or with --obey ends in order.
import { writeSync } from 'node:fs';
import { watchLife } from '@showtell/worker/life.js';

const say = (text) => writeSync(1, `${text}\n`);
watchLife(false, {
  drain: (reason) => {
    say(`drain ${reason}`);
    if (process.argv.includes('--obey')) process.exit(0);
  },
  force: () => say('force'),
});
setInterval(() => undefined, 1_000);
say('ready');
