import { createServer } from 'node:net';

/** Below what the kernel gives to outgoing connections, so that a port is still free after its server was killed. */
const first = 11_000;
const last = 29_000;

let next = first + ((process.pid * 61) % (last - first - 1_000));

/** A port that stays this process's: no two are the same. */
export async function ownPort(): Promise<number> {
  for (;;) {
    if (++next >= last) next = first;
    const port = next;
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
