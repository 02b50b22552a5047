/** Waits for something, but not for ever, however it comes out. @returns whether it has come out in time */
export async function within(ms: number, settled: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, ms, false)));
  const inTime = settled.then(
    () => true,
    () => true,
  );
  const isInTime = await Promise.race([inTime, late]);
  clearTimeout(timer);
  return isInTime;
}
