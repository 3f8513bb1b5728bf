import {
  parseDuration,
  parsePointInTime,
} from '../../src/branches/pointInTime';
import { DAY, HOUR, MINUTE } from '../../testbed/durations';

const NOW = Date.parse('2026-11-27T12:00:00Z');

const parse = (text: string) => parsePointInTime(text, '--at', NOW);

describe('a duration', () => {
  it.each([
    ['7d', 7 * DAY],
    ['24h', DAY],
    ['1.5h', 1.5 * HOUR],
    ['90m', 90 * MINUTE],
    ['30s', 30_000],
  ])('may be %s', (text, ms) => {
    expect(parseDuration(text, '--ttl')).toBe(ms);
  });

  it.each(['7', 'd', '', '0d', '-1d', '7 d', '7days', '1e3s', 'P7D', '7D'])(
    'may not be %j',
    text => {
      expect(() => parseDuration(text, '--ttl')).toThrow(
        /--ttl.*no duration.*s, m, h or d/,
      );
    },
  );
});

describe('a moment', () => {
  it.each([
    ['-5m', '2026-11-27T11:55:00.000Z'],
    ['-1d', '2026-11-26T12:00:00.000Z'],
    ['2026-11-27T11:00:00Z', '2026-11-27T11:00:00.000Z'],
    ['2026-11-27T11:00:00.250+02:00', '2026-11-27T09:00:00.250Z'],
    ['2026-11-27 11:00Z', '2026-11-27T11:00:00.000Z'],
  ])('may be %s', (text, iso) => {
    expect(parse(text)).toEqual({ time: new Date(iso) });
  });

  it('may be a place in the log', () => {
    expect(parse('0/16b3748')).toEqual({ lsn: '0/16B3748' });
  });

  it.each([
    '-5',
    '5m',
    'yesterday',
    '2026-11-27',
    '2026-11-27T11:00:00',
    '2026-13-27T11:00:00Z',
    '16B3748',
    '',
  ])('may not be %j', text => {
    expect(() => parse(text)).toThrow(/--at/);
  });

  it('is not in the future', () => {
    expect(() => parse('2026-11-27T12:00:01Z')).toThrow(
      /in the future.*It is 2026-11-27T12:00:00.000Z now/,
    );
  });
});
