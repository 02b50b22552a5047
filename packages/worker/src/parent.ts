/**
 * Calls back when the process that leads this one by a channel is gone, however it ended: the `showtell` of
 * `showtell worker`, `showtell serve`, … Nothing happens in one that nobody leads so.
 */
export function watchParent(onGone: () => void): Disposable {
  // What is there to send by stays when the channel has closed.
  if (process.send === undefined) return { [Symbol.dispose]: () => undefined };
  // It reads what is written there, too: what comes after its end is told to nobody, and ends nothing.
  process.stderr.on('error', () => undefined);
  process.once('disconnect', onGone);
  process.channel?.unref();
  if (!process.connected) process.nextTick(onGone);
  return { [Symbol.dispose]: () => void process.off('disconnect', onGone) };
}

/** Ends this process at once when its parent is gone: nobody waits for what it computes. */
export function endWithParent(): void {
  // A thread within a native call holds up process.exit until it returns.
  watchParent(() => process.kill(process.pid, 'SIGKILL'));
}
