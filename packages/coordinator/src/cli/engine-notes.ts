import type { Readable, Writable } from 'node:stream';

/**
 * A line of TensorFlow's own log that tells nobody anything they could act on: information and warnings, by absl's form
 * (`I0000 00:00:1795770533.377650 17282 port.cc:153] …`) and by that of before (`2024-05-01 10:00:00.123456: I …`), and
 * absl's line that no log was opened; and, called an error there, that oneDNN leaves integers to other kernels. Other errors
 * (E) and what ends the process (F) are none.
 */
const note =
  /^(?:[IW]\d{4} \d\d:\d\d:[\d.]+ +\d+ \S+:\d+\]|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] |WARNING: All log messages before absl::InitializeLog\(\) |E\d{4} .*\] oneDNN supports \w+ only on platforms with .* Falling back )/;

/** What such a line can begin with. A line that begins otherwise is passed on as it comes, whole or not. */
const mayBeNote = /^[EIW\d]/;

/**
 * Passes on what an engine's process writes to its standard error, but for TensorFlow's notes. `TF_CPP_MIN_LOG_LEVEL`
 * does not keep all of them away: TensorFlow 2.21 writes some while it is loaded, before it reads that.
 */
export function passOnErrors(from: Readable, to: Writable): void {
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
