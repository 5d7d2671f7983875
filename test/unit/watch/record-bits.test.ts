import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markerStates, markerStem, parseMarkerName } from '../../../src/watch/marker-name.js';
import { toWordBuffer } from '../../../src/lib/word-buffer.js';
import {
  doneBits,
  hasLost,
  placeOf,
  recordBit,
  recordReader,
  slotsIn,
  statesIn,
} from '../../../src/watch/record-bits.js';

const bits = fc.nat({ max: 0xffffffff }).map((n) => n >>> 0);

describe('bits of records', () => {
  it('each state of each step has one', () => {
    const all = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((slot) =>
      markerStates.map((state) => recordBit(slot, state)),
    );
    expect(new Set(all).size).toBe(32);
    expect(all.reduce((a, b) => a + b)).toBe(0xffffffff);
    for (const state of markerStates) {
      expect([...statesIn(recordBit(7, state), 7)]).toEqual([state]);
      expect(statesIn(recordBit(7, state), 6).size).toBe(0);
    }
  });

  it('say which steps have records, and which are done', () => {
    const two = recordBit(0, 'done') + recordBit(3, 'failed');
    expect(slotsIn(two)).toEqual([0, 3]);
    expect(doneBits(0, 0)).toBe(recordBit(0, 'done'));
    expect(doneBits(2, 7)).toBe([2, 3, 4, 5, 6, 7].reduce((sum, step) => sum + recordBit(step, 'done'), 0));
  });

  it('say whether a step lost all it had', () => {
    const both = recordBit(0, 'done') + recordBit(0, 'mtime') + recordBit(1, 'done');
    expect(hasLost(both, recordBit(0, 'mtime') + recordBit(1, 'done'))).toBe(false);
    expect(hasLost(both, recordBit(1, 'done'))).toBe(true);
    expect(hasLost(recordBit(1, 'done'), both)).toBe(false);
    fc.assert(
      fc.property(bits, bits, (before, now) => {
        expect(hasLost(before, now)).toBe(slotsIn(before).some((slot) => !slotsIn(now).includes(slot)));
      }),
    );
  });
});

describe('a record', () => {
  const read = (watch: string, name: string): [string, number] | undefined => {
    let found: [string, number] | undefined;
    const was = recordReader(watch)(
      toWordBuffer(`--${name}`),
      2,
      2 + name.length,
      ({ bytes }, from, to, bit) => (found = [bytes.toString('latin1', from, to), bit]),
    );
    expect(was).toBe(found !== undefined);
    return found;
  };

  it('is read from a name as parseMarkerName reads it', () => {
    const file = fc.oneof(
      fc.constantFrom('x', '.x', '_', '0_x', '.', 'x.done', 'y'.repeat(250), `~${'0'.repeat(40)}`),
      fc.stringMatching(/^[\u0001-\u00ff]{1,255}$/),
      fc.integer({ min: 190, max: 250 }).map((length) => `${'z'.repeat(length)}~${'0a'.repeat(16)}`),
    );
    const name = fc.oneof(
      fc
        .tuple(fc.nat({ max: 12 }), file, fc.constantFrom(...markerStates))
        .map(([step, one, state]) => `${markerStem('w', step, one)}.${state}`),
      fc
        .tuple(
          fc.constantFrom('', '0', '00', '1', '9', 'x', '-1', '07'),
          file,
          fc.constantFrom('done', 'part', 'Done', ''),
        )
        .map(([step, one, state]) => `._w_${step}_${one}.${state}`),
      fc.constantFrom(
        '._w_0_.done',
        '._w_0_x',
        '._w_0_x.',
        '._w_.done',
        '._v_0_x.done',
        '._w_0__.done',
        'x',
        '',
      ),
    );
    fc.assert(
      fc.property(name, (one) => {
        const parsed = parseMarkerName('w', one);
        const place = parsed && placeOf(parsed.step, parsed.file, parsed.stem);
        expect(read('w', one)).toEqual(place && [place.key, recordBit(place.slot, parsed.state)]);
      }),
      { numRuns: 5000 },
    );
  });

  it('goes under the name of its file, or under a stem, which begins with a dot as no data does', () => {
    expect(placeOf(0, 'x', '._w_0_x')).toEqual({ key: 'x', slot: 0 });
    expect(placeOf(7, 'x', '._w_7_x')).toEqual({ key: 'x', slot: 7 });
    expect(placeOf(8, 'x', '._w_8_x')).toEqual({ key: '._w_8_x', slot: 0 });
    expect(placeOf(0, '.x', '._w_0_.x')).toEqual({ key: '._w_0_.x', slot: 0 });
    const long = markerStem('w', 0, 'x'.repeat(255));
    expect(placeOf(0, 'x'.repeat(255), long)).toEqual({ key: long, slot: 0 });
  });
});
