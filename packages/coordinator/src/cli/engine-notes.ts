import type { Readable, Writable } from 'node:stream';

/** What TensorFlow computes on. */
export type Device = 'cpu' | 'cuda';

/**
 * A line of TensorFlow's own log that tells nobody anything they could act on: information and warnings, by absl's form
 * (`I0000 00:00:1795770533.377650 17282 port.cc:153] …`) and by that of before (`2024-05-01 10:00:00.123456: I …`), and
 * absl's line that no log was opened; and, called an error there, that oneDNN leaves integers to other kernels. Other errors
 * (E) and what ends the process (F) are none. With a GPU warnings are none either: they say why it cannot be used
 * (`W0000 … gpu_device.cc:2430] Cannot dlopen some GPU libraries`).
 */
const notes: Readonly<Record<Device, RegExp>> = { cpu: noteOf('[IW]'), cuda: noteOf('I') };

function noteOf(levels: string): RegExp {
  const absl = `${levels}\\d{4} \\d\\d:\\d\\d:[\\d.]+ +\\d+ \\S+:\\d+\\]`;
  const before = `\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d+: ${levels} `;
  const unopened = 'WARNING: All log messages before absl::InitializeLog\\(\\) ';
  const integers = 'E\\d{4} .*\\] oneDNN supports \\w+ only on platforms with .* Falling back ';
  return new RegExp(`^(?:${[absl, before, unopened, integers].join('|')})`);
}

/** What such a line can begin with. A line that begins otherwise is passed on as it comes, whole or not. */
const mayBeNote = /^[EIW\d]/;

/**
 * Passes on what an engine's process writes to its standard error, but for TensorFlow's notes. `TF_CPP_MIN_LOG_LEVEL`
 * does not keep all of them away: TensorFlow 2.21 writes some while it is loaded, before it reads that.
 */
export function passOnErrors(from: Readable, to: Writable, device: Device): void {
  const note = notes[device];
  let held = '';
  let begun = false;
  from.setEncoding('utf8').on('data', (text: string) => {
    const lines = (held + text).split(/(?<=\n)/);
    const rest = lines.at(-1)?.endsWith('\n') === true ? '' : (lines.pop() ?? '');
    for (const line of lines) {
      if (begun || !note.test(line)) to.write(line);
      begun = false;
    }
    held = !begun && mayBeNote.test(rest) ? rest : '';
    if (held !== rest) {
      to.write(rest);
      begun = true;
    }
  });
  from.on('end', () => {
    if (held !== '' && !note.test(held)) to.write(held);
  });
}
