import { createServer, type AddressInfo } from 'node:net';

/** A port of loopback that nobody listens on at this moment, for a program that cannot take one by itself. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** Several, none of them twice: each is held until all are there, or one that was let go could be given again. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const listening = servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  await Promise.all(listening);
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
