// A program of the worker's package that computes for ever, and that whoever forked it leads.
import { endWithParent } from '@showtell/worker/parent.js';

endWithParent();
setInterval(() => undefined, 1_000);
process.send('ready');
