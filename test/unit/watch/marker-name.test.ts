import { describe, expect, it } from 'vitest';
import { textToBytes } from '../../../src/lib/text.js';
import { isShortened, markerStates, markerStem, parseMarkerName } from '../../../src/watch/marker-name.js';
import { nastyNames } from '../../support/watch-fixtures.js';

describe('markerStem', () => {
  it('is ._<name>_<n>_<filename>, as documented', () => {
    expect(markerStem('w1', 0, 'ok.txt')).toBe('._w1_0_ok.txt');
    expect(markerStem('t-w.1_x', 12, 'GFS_20240101.foo')).toBe('._t-w.1_x_12_GFS_20240101.foo');
  });

  it('never makes a name of more than 255 bytes, not even while it is written', () => {
    for (let length = 200; length <= 255; length++) {
      const stem = markerStem('watch', 10, 'x'.repeat(length));
      for (const state of markerStates)
        expect(`${stem}.${state}.tmp`.length, `${length} ${state}`).toBeLessThanOrEqual(255);
    }
  });

  it('keeps shortened names of different files apart, and those of different steps', () => {
    const long = 'x'.repeat(250);
    const stems = [
      markerStem('w', 0, `${long}1`),
      markerStem('w', 0, `${long}2`),
      markerStem('w', 1, `${long}1`),
    ];
    expect(new Set(stems).size).toBe(3);
    for (const stem of stems) {
      expect(isShortened(stem)).toBe(true);
      expect(stem.startsWith('._w_')).toBe(true);
    }
    expect(isShortened(markerStem('w', 0, 'x'))).toBe(false);
  });
});

describe('parseMarkerName', () => {
  it.each(['w', 'a_b', 'a_0', 'a.b', 't-x_1', '日本', 'done', 'a_0_'])(
    'reads back names of watch %s',
    (name) => {
      const watch = textToBytes(name);
      for (const file of ['ok.txt', 'GFS_20240101.foo', '0_x', '1_2_3', 'a.done', 'x.', '.x'])
        for (const step of [0, 1, 10])
          for (const state of markerStates) {
            const stem = markerStem(watch, step, file);
            expect(parseMarkerName(watch, `${stem}.${state}`)).toEqual({ stem, step, file, state });
          }
    },
  );

  it('reads back files of any bytes', () => {
    for (const name of nastyNames) {
      const file = textToBytes(name).slice(0, 200);
      const stem = markerStem('w', 3, file);
      expect(parseMarkerName('w', `${stem}.done`)).toEqual({ stem, step: 3, file, state: 'done' });
    }
  });

  it.each([
    '._photo.jpg',
    '._w',
    '._w_',
    '._w_0_.done',
    '._w_0.done',
    '._w_x_y.done',
    '._w_00_y.done',
    '._w_-1_y.done',
    '._w_0_y.new',
    '._w_0_y.done.tmp',
    '._w_0_done',
    '._w2_0_y.done',
    '._v_0_y.done',
    '.w_0_y.done',
    'w_0_y.done',
    '',
    '.',
    '._',
    '._w_0_y.',
  ])('%s is no marker of w', (name) => {
    expect(parseMarkerName('w', name)).toBeUndefined();
  });

  it('reads ._a_0_0_x.done for a and for a_0: only the content tells whose it is', () => {
    expect(parseMarkerName('a', '._a_0_0_x.done')).toMatchObject({ step: 0, file: '0_x' });
    expect(parseMarkerName('a_0', '._a_0_0_x.done')).toMatchObject({ step: 0, file: 'x' });
  });

  it('takes a dot in the name of a watch as a dot', () => {
    expect(parseMarkerName('a.b', '._axb_0_x.done')).toBeUndefined();
    expect(parseMarkerName('a.b', '._a.b_0_x.done')).toMatchObject({ file: 'x' });
  });
});
