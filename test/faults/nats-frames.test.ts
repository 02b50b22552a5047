import { expect, it } from 'vitest';
import { isMessage, NatsFrames } from './nats-frames.js';

const stream = Buffer.concat([
  Buffer.from('INFO {"port":1}\r\n'),
  Buffer.from('PING\r\n'),
  Buffer.from('PUB a.b reply 4\r\n\r\n\r\n\r\n'),
  Buffer.from('HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n'),
  Buffer.from('MSG a 1 0\r\n\r\n'),
]);

it.each([1, 2, 3, 7, 1000])('frames come out whole, whatever pieces of %i bytes come in', (size) => {
  const frames = new NatsFrames();
  const found = [];
  for (let at = 0; at < stream.length; at += size) found.push(...frames.push(stream.subarray(at, at + size)));
  expect(found.map(({ verb }) => verb)).toEqual(['INFO', 'PING', 'PUB', 'HMSG', 'MSG']);
  expect(Buffer.concat(found.map(({ bytes }) => bytes)).equals(stream)).toBe(true);
  expect(found.filter(isMessage).map(({ bytes, payloadAt }) => bytes.length - payloadAt)).toEqual([6, 19, 2]);
});
