/** The file in a folder of TensorFlow checkpoints that names the newest: a `CheckpointState` message as text. */
export const checkpointStateFile = 'checkpoint';

/** @param path of the checkpoint, relative to the folder */
export function formatCheckpointState(path: string): string {
  const text = JSON.stringify(path);
  return `model_checkpoint_path: ${text}\nall_model_checkpoint_paths: ${text}\n`;
}

/** The newest checkpoint's path: absolute, or relative to the folder. @returns null when the text names none */
export function newestCheckpoint(state: string): string | null {
  const [, text] = /^[ \t\r]*model_checkpoint_path[ \t]*:[ \t]*"((?:[^"\\\n]|\\.)*)"/m.exec(state) ?? [];
  return text === undefined || text === '' ? null : unescape(text);
}

/** Bytes beyond ASCII stand as octal numbers in Python's text format. */
function unescape(text: string): string {
  const bytes = Buffer.from(text).toString('latin1');
  const plain = bytes.replace(/\\([0-7]{1,3}|.)/g, (_, escaped: string) =>
    /^[0-7]/.test(escaped) ? String.fromCharCode(parseInt(escaped, 8) & 0xff) : escaped,
  );
  return Buffer.from(plain, 'latin1').toString();
}
