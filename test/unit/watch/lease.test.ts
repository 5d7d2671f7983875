import { readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/lib/file-system.js';
import { realFileSystem } from '../../../src/lib/file-system.js';
import {
  isOf,
  leaseContent,
  parseLeaseName,
  readLease,
  renewedUntil,
  sighted,
  takeableAt,
} from '../../../src/watch/lease.js';
import { LeaseFiles } from '../../../src/watch/lease-files.js';
import { isDead, thisHost } from '../../../src/watch/lease-host.js';
import { parseMarkerName } from '../../../src/watch/marker-name.js';
import { isShared } from '../../../src/watch/network.js';
import { compileSelector } from '../../../src/watch/select.js';
import { temporaryDirectory, watchWith } from '../../support/watch-fixtures.js';

const self = { host: 'h', host_id: 'i', boot_id: 'b', pid_namespace: 'n', pid: 7, birth: '5' };
const owner = (id: string, ttl = 30, renewals = 0) => ({ owner: id, ...self, ttl, renewals });

describe('the file of a lease', () => {
  it.for(['w', 'w_0_x', 'w.lease.1', 'ü', 'a_0_b.done'])(
    'of watch %s is no marker of any watch, and no data',
    (name) => {
      const file = `._${name}.lease.12`;
      expect(parseLeaseName(name, file)).toBe(12);
      for (const other of ['w', 'w_0_x', 'a', name]) {
        expect(parseMarkerName(other, file)).toBeUndefined();
        expect(parseMarkerName(other, `${file}.an-id`)).toBeUndefined();
      }
      expect(compileSelector(watchWith({}))(file).lists).toEqual([]);
    },
  );

  it.for(['._w.lease.0', '._w.lease.01', '._w.lease.1.x.tmp', '._w.lease.', '._v.lease.1', '._w.lease.1e3'])(
    '%s is none of the watch w',
    (name) => expect(parseLeaseName('w', name)).toBeUndefined(),
  );

  it('has the same length at every renewal, and tells its owner in its first bytes', () => {
    const first = leaseContent(owner('a', 30, 9));
    const second = leaseContent(owner('a', 30, 10_000_000));
    expect(first).toHaveLength(second.length);
    expect(isOf(first, 'a')).toBe(true);
    expect(isOf(first, 'b')).toBe(false);
    expect(readLease(second)).toEqual(owner('a', 30, 10_000_000));
    for (const torn of ['', first.slice(0, 40), 'null', '{}', '{"owner":1,"ttl":2}'])
      expect(readLease(torn)).toBeUndefined();
  });

  it('is renewed in place, and only while it is the own one', () => {
    const directory = temporaryDirectory();
    const files = new LeaseFiles(directory, 'w', realFileSystem);
    expect(files.create(1, 'a', leaseContent(owner('a')))).toBe(true);
    expect(files.create(1, 'b', leaseContent(owner('b')))).toBe(false);
    expect(readdirSync(directory)).toEqual(['._w.lease.1']);
    expect(files.renew(1, 'b', leaseContent(owner('b')))).toBe(false);
    expect(files.renew(1, 'a', leaseContent(owner('a', 30, 1)))).toBe(true);
    expect(readLease(files.read(1)!.content)?.renewals).toBe(1);
    unlinkSync(join(directory, '._w.lease.1'));
    // what others removed does not come back
    expect(files.renew(1, 'a', leaseContent(owner('a', 30, 2)))).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is made exclusively also where there are no hard links', () => {
    const directory = temporaryDirectory();
    const linkSync = () => {
      throw Object.assign(new Error('no links'), { code: 'EPERM' });
    };
    const files = new LeaseFiles(directory, 'w', { ...realFileSystem, linkSync });
    expect(files.create(1, 'a', leaseContent(owner('a')))).toBe(true);
    expect(files.create(1, 'b', leaseContent(owner('b')))).toBe(false);
    expect(isOf(readFileSync(join(directory, '._w.lease.1'), 'utf8'), 'a')).toBe(true);
    expect(readdirSync(directory)).toHaveLength(1);
  });
});

describe('who stands by', () => {
  const file = (epoch: number, id: string, ttl: number, renewals = 0) => ({
    epoch,
    content: leaseContent(owner(id, ttl, renewals)),
  });
  const nobody = (): boolean => false;

  it('waits from the last change it saw, as long as the owner or it says, whichever is longer', () => {
    let sight = sighted(undefined, file(1, 'a', 60), 1000, 30);
    expect(takeableAt(sight, nobody)).toBe(61_000);
    sight = sighted(sight, file(1, 'a', 60), 40_000, 30);
    expect(takeableAt(sight, nobody)).toBe(61_000);
    sight = sighted(sight, file(1, 'a', 60, 1), 50_000, 30);
    expect(takeableAt(sight, nobody)).toBe(110_000);
    // torn: somebody writes, and what was said before holds
    sight = sighted(sight, { epoch: 1, content: '{"owner' }, 60_000, 30);
    expect(takeableAt(sight, nobody)).toBe(120_000);
    sight = sighted(sight, file(2, 'b', 1), 70_000, 30);
    expect(takeableAt(sight, nobody)).toBe(100_000);
  });

  it('waits for nobody where there is no file, or the owner is gone', () => {
    expect(takeableAt(sighted(undefined, undefined, 5, 30), nobody)).toBeUndefined();
    expect(takeableAt(sighted(undefined, file(1, 'a', 30), 5, 30), () => true)).toBeUndefined();
  });

  it('knows that a process is gone only of its own boot, machine and process namespace', () => {
    const gone = (): string | undefined => undefined;
    expect(isDead(self, owner('a'), gone)).toBe(true);
    expect(isDead(self, owner('a'), () => '6')).toBe(true);
    expect(isDead(self, owner('a'), () => '5')).toBe(false);
    for (const key of ['host_id', 'boot_id', 'pid_namespace'] as const)
      expect(isDead({ ...self, [key]: 'other' }, owner('a'), gone), key).toBe(false);
    expect(isDead(self, undefined, gone)).toBe(false);
    const here = thisHost();
    const alive = { epoch: 1, content: leaseContent({ owner: 'a', ...here.self, ttl: 1, renewals: 0 }) };
    expect(here.isDead(alive)).toBe(false);
    here.abandon('a');
    expect(here.isDead(alive)).toBe(true);
  });
});

it('a renewal that ended too late gives nothing', () => {
  expect(renewedUntil(22_500, 7500, 7600, 30)).toBe(30_000);
  expect(renewedUntil(22_500, 7500, 22_500, 30)).toBe(22_500);
});

it('network file systems are shared, local ones are not', () => {
  const type = (magic: number): FileSystem =>
    ({ ...realFileSystem, statfsSync: () => ({ type: magic }) }) as unknown as FileSystem;
  for (const magic of [0x6969, 0xff534d42, -0xacb2be, 0xfe534d42, 0x65735546, 0x01021997])
    expect(isShared('/', type(magic)), magic.toString(16)).toBe(true);
  for (const magic of [0xef53, 0x01021994, 0x9123683e]) expect(isShared('/', type(magic))).toBe(false);
});
