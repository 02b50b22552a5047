import { makeGenericClientConstructor, type MethodDefinition } from '@grpc/grpc-js';
import { ParameterServiceClient, ParameterServiceService } from '../generated/showtell/v1/parameters.js';
import { ShardServiceClient, ShardServiceService } from '../generated/showtell/v1/shards.js';
import { isSealed, seal } from './seal.js';

/** A method of any messages. */
type Method = MethodDefinition<never, never>;

/** The service of parameters.proto, each message sealed: one that changed on its way fails its call as `INTERNAL`. */
export const sealedParameterService = sealed(ParameterServiceService);

/** A client of it. */
export const SealedParameterServiceClient = clientOf(sealedParameterService, ParameterServiceClient);

/** The service of shards.proto, likewise. */
export const sealedShardService = sealed(ShardServiceService);

/** A client of it. */
export const SealedShardServiceClient = clientOf(sealedShardService, ShardServiceClient);

function sealed<T extends object>(service: T): T {
  const methods = Object.entries(service as Record<string, Method>).map(([name, method]) => [
    name,
    {
      ...method,
      requestSerialize: sealing(method.requestSerialize),
      requestDeserialize: unsealing(method.requestDeserialize),
      responseSerialize: sealing(method.responseSerialize),
      responseDeserialize: unsealing(method.responseDeserialize),
    },
  ]);
  return Object.fromEntries(methods) as T;
}

function clientOf<T extends { readonly serviceName: string }>(service: object, client: T): T {
  const methods = service as Parameters<typeof makeGenericClientConstructor>[0];
  return makeGenericClientConstructor(methods, client.serviceName) as unknown as T;
}

function sealing(serialize: (value: never) => Buffer): (value: never) => Buffer {
  return (value) => seal(serialize(value));
}

function unsealing(deserialize: (bytes: Buffer) => never): (bytes: Buffer) => never {
  return (bytes) => {
    if (!isSealed(bytes)) throw new Error('the message was damaged on its way');
    return deserialize(bytes);
  };
}
