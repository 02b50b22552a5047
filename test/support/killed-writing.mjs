// Writes the checkpoint it is given and kills itself at one place of it: after so many bytes of its files, or at a call
// that moves, syncs, opens or closes one. Prints how many places there are if it comes to its end.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { checkpoint, bytes = Infinity, call = Infinity } = JSON.parse(process.argv[2]);
let [written, calls, begun] = [0, 0, false];
const die = () => process.kill(process.pid, 'SIGKILL');

const { writeSync } = fs;
fs.writeSync = (fd, buffer, offset = 0, length = buffer.byteLength - offset, ...rest) => {
  const room = bytes - written;
  if (room < length) {
    writeSync(fd, buffer, offset, room, ...rest);
    die();
  }
  const count = writeSync(fd, buffer, offset, length, ...rest);
  written += count;
  return count;
};
for (const name of ['renameSync', 'fsyncSync', 'mkdirSync', 'rmSync', 'openSync', 'closeSync']) {
  const real = fs[name];
  fs[name] = (...args) => {
    if (begun && calls++ >= call) die();
    return real(...args);
  };
}
syncBuiltinESMExports();

const { writeCheckpoint } = await import('@showtell/coordinator/checkpoints/write-checkpoint.js');
const tensors = (given) => given.map(({ values, ...named }) => ({ ...named, values: Float32Array.from(values) }));
const { parameters, optimizer } = checkpoint;
begun = true;
writeCheckpoint({ ...checkpoint, parameters: tensors(parameters), optimizer: tensors(optimizer) });
process.stdout.write(JSON.stringify({ bytes: written, calls }));
