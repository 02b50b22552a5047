import type { NatsConnection, ObjectInfo } from 'nats';

/** A server that sends nothing for so long has forgotten us. */
const stallMs = 20_000;

/**
 * An object's chunks, each asked for by name. The library's own reading makes a consumer, by which a reader may have the server send
 * anything anywhere: a right that a worker must not have.
 *
 * @returns null in place of the first chunk that is gone
 * @throws what the connection says
 */
export async function* chunksOf(
  connection: NatsConnection,
  bucket: string,
  { nuid, chunks }: Pick<ObjectInfo, 'nuid' | 'chunks'>,
): AsyncGenerator<Uint8Array | null> {
  let sequence = 0;
  for (let i = 0; i < chunks; i++) {
    const query = JSON.stringify({ seq: sequence + 1, next_by_subj: `$O.${bucket}.C.${nuid}` });
    const { headers, data } = await connection.request(`$JS.API.DIRECT.GET.OBJ_${bucket}`, query, { timeout: stallMs });
    const isThere = headers !== undefined && headers.code === 0;
    sequence = isThere ? Number(headers.get('Nats-Sequence')) : 0;
    yield isThere ? data : null;
    if (!isThere) return;
  }
}

/** @throws Error when it takes too long */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${stallMs / 1000} s`)), stallMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
