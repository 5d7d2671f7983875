import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { realFileSystem, type FileSystem } from '../../../src/lib/file-system.js';
import { Claim } from '../../../src/watch/claim.js';
import { VirtualClock } from '../../simulation/clock.js';
import { temporaryDirectory, watchWith } from '../../support/watch-fixtures.js';

const EXT4 = 0xef53;
const NFS = 0x6969;

/** A directory on a file system of the test's choice. */
class Place {
  readonly path = temporaryDirectory();
  readonly said: string[] = [];
  type = EXT4;
  device = 1n;
  lost = 0;
  readonly #claims: Claim[] = [];

  claim(lease: number | 'auto'): Claim {
    const say = (_: unknown, message: string): void => void this.said.push(message);
    const log = { debug: say, info: say, warn: say, error: say };
    const ports = { clock: new VirtualClock(), log, fs: this.#fs(), lock: () => () => undefined };
    const claim = new Claim(watchWith({ path: this.path, lease }), ports, () => this.lost++);
    this.#claims.push(claim);
    return claim;
  }

  files = (): string[] => readdirSync(this.path);
  end = (): void => this.#claims.forEach((claim) => claim.release());

  #fs(): FileSystem {
    return new Proxy(realFileSystem, {
      get: (fs, name: keyof FileSystem) => {
        if (name === 'statfsSync') return () => ({ type: this.type });
        if (name === 'statSync') return () => ({ dev: this.device });
        return fs[name];
      },
    });
  }
}

const never = (): void => expect.unreachable();

describe('a lease is kept', () => {
  it.for([
    ['auto', NFS, 1],
    ['auto', EXT4, 0],
    [0, NFS, 0],
    [5, EXT4, 1],
  ] as const)('lease %s on type %s: %s file', ([lease, type, files]) => {
    const place = new Place();
    place.type = type;
    const claim = place.claim(lease);
    expect(claim.acquire(never)).toBe(true);
    expect(claim.holds()).toBe(true);
    expect(claim.isShared).toBe(files === 1);
    expect(place.files()).toHaveLength(files);
    place.end();
    expect(place.files()).toEqual([]);
  });

  it('on a network file system that is mounted late, after a new beginning', () => {
    const place = new Place();
    const claim = place.claim('auto');
    expect(claim.acquire(never)).toBe(true);
    Object.assign(place, { device: 2n, type: NFS });
    expect([claim.holds(), claim.holds(), place.lost]).toEqual([false, false, 1]);
    claim.release();
    const next = place.claim('auto');
    expect(next.acquire(never)).toBe(true);
    expect([next.holds(), next.isShared]).toEqual([true, true]);
    place.end();
  });

  it('not anew when another local one is mounted', () => {
    const place = new Place();
    const claim = place.claim('auto');
    expect(claim.acquire(never)).toBe(true);
    place.device = 2n;
    expect([claim.holds(), place.lost]).toEqual([true, 0]);
    place.end();
  });
});

it('the second of this machine stands by and says for whom', () => {
  const place = new Place();
  const first = place.claim(30);
  const second = place.claim(30);
  expect([first.acquire(never), second.acquire(never)]).toEqual([true, false]);
  expect(second.standingBy).toMatch(/^process \d+ on .+ works on it$/);
  expect([first.holds(), second.holds()]).toEqual([true, false]);
  place.end();
});
