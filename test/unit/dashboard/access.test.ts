import { describe, expect, it } from 'vitest';
import {
  type AccessRules,
  type Asker,
  isLoopbackName,
  judge,
  sessionOf,
} from '@showtell/coordinator/dashboard/access.js';

const token = '0123456789abcdef0123456789abcdef';
const local: AccessRules = { isLoopback: true, token: null };
const remote: AccessRules = { isLoopback: false, token };
const nothing = {
  origin: undefined,
  fetchSite: undefined,
  mark: undefined,
  authorization: undefined,
  session: undefined,
};
const get: Asker = { ...nothing, method: 'GET', host: '127.0.0.1:9464' };
const post: Asker = { ...get, method: 'POST', origin: 'http://127.0.0.1:9464', fetchSite: 'same-origin', mark: 'page' };

describe('who may see the page', () => {
  it('on loopback: everybody on this machine who asks by its own name', () => {
    for (const host of ['127.0.0.1:9464', 'localhost:9464', '[::1]:9464', 'LOCALHOST', '127.8.8.8'])
      expect(judge(local, { ...get, host }), host).toEqual({ granted: true });
    for (const host of [
      'evil.example:9464',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '10.0.0.1',
      undefined,
      '',
      'a b',
    ])
      expect(judge(local, { ...get, host }), host).toMatchObject({ granted: false, status: 421 });
  });

  it('elsewhere: nobody without a token, and who has it', () => {
    expect(judge({ isLoopback: false, token: null }, get)).toMatchObject({ status: 403 });
    expect(judge(remote, get)).toMatchObject({ status: 401 });
    for (const authorization of ['Bearer wrong', `Bearer ${token}x`, `Basic ${token}`, token, ''])
      expect(judge(remote, { ...get, authorization }), authorization).toMatchObject({ status: 401 });
    const host = 'train.example';
    expect(judge(remote, { ...get, host, authorization: `Bearer ${token}` })).toEqual({ granted: true });
    expect(judge(remote, { ...get, host, session: sessionOf(token) })).toEqual({ granted: true });
    for (const session of [token, sessionOf('another token of some length'), ''])
      expect(judge(remote, { ...get, session }), session).toMatchObject({ status: 401 });
  });

  it('a token on loopback is asked for there too', () => {
    expect(judge({ isLoopback: true, token }, get)).toMatchObject({ status: 401 });
  });
});

describe('who may change something', () => {
  it('the page itself, and programs that send its header', () => {
    expect(judge(local, post)).toEqual({ granted: true });
    expect(judge(local, { ...post, origin: undefined, fetchSite: undefined })).toEqual({ granted: true });
  });

  it('no other site, whatever it leaves out', () => {
    const others: Partial<Asker>[] = [
      { origin: 'http://evil.example' },
      { origin: 'http://127.0.0.1:9999' },
      { origin: 'null' },
      { fetchSite: 'cross-site' },
      { fetchSite: 'same-site' },
      { mark: undefined },
    ];
    for (const other of others)
      for (const method of ['POST', 'PUT', 'DELETE'])
        expect(judge(local, { ...post, ...other, method }), JSON.stringify(other)).toMatchObject({ status: 403 });
  });
});

it('loopback is what no other machine reaches', () => {
  for (const name of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost'])
    expect(isLoopbackName(name), name).toBe(true);
  for (const name of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example', '1270.0.0.1', ''])
    expect(isLoopbackName(name), name).toBe(false);
});
