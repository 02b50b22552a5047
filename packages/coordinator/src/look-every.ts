/**
 * Looks at something now and every `ms` from then on, beside everything else. What a look has found is told only if it is
 * still wanted by then.
 *
 * @param look gives what to do with what it found
 * @param onEnd what was told holds no more
 */
export function lookEvery(ms: number, look: () => Promise<() => void>, onEnd: () => void): Disposable {
  let isOver = false;
  const once = async (): Promise<void> => {
    const tell = await look();
    if (!isOver) tell();
  };
  void once();
  const timer = setInterval(() => void once(), ms);
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      clearInterval(timer);
      onEnd();
    },
  };
}
