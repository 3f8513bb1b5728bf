import { auditStatement } from '../../src/governance/auditTrail';
import { COST_BY, costStatement } from '../../src/governance/cost';

/**
 * The emulator runs this SQL on DuckDB, Databricks on its own engine. What
 * follows means the same to both, by the reference of either; whatever else a
 * statement uses is to be looked up there, and added here.
 */
const FUNCTIONS_OF_BOTH = [
  'cast',
  'coalesce',
  'count',
  'date_trunc',
  'lower',
  'max',
  'regexp_extract',
  'sum',
  'to_json',
];
const TYPES_OF_BOTH = ['DATE', 'DOUBLE', 'STRING'];

/** They take an opening parenthesis, and are no functions. */
const WORDS = ['and', 'in', 'when'];

const statements = [
  ...COST_BY.map(by =>
    costStatement({ project: 'p', by, since: '2026-11-01', currency: 'USD' }),
  ),
  auditStatement(new Date(0), ['p', 'uid']),
  auditStatement(new Date(0), ['p', 'uid'], ['b']),
];

const names = (sql: string, pattern: RegExp) =>
  [...sql.matchAll(pattern)].map(([, name]) => name);

describe.each(statements.map(it => [it.sql, it.parameters] as const))(
  'a statement',
  (sql, parameters) => {
    it('uses what Databricks and DuckDB have in common', () => {
      const functions = names(sql, /\b([a-z_]+)\(/gi).map(it =>
        it.toLowerCase(),
      );
      expect(FUNCTIONS_OF_BOTH).toEqual(
        expect.arrayContaining(functions.filter(it => !WORDS.includes(it))),
      );
      expect(TYPES_OF_BOTH).toEqual(
        expect.arrayContaining(names(sql, /CAST\(\S+ AS (\w+)\)/g)),
      );
      // Casts of one of them only, and quotes that mean something else there.
      expect(sql).not.toMatch(/::|"|`/);
    });

    it('gets every value by its name, and holds none', () => {
      expect(new Set(names(sql, /:(\w+)/g))).toEqual(
        new Set(parameters.map(({ name }) => name)),
      );
    });
  },
);

describe('the audit', () => {
  const [, pattern] = auditStatement(new Date(0), ['a.b', 'uid']).parameters;

  it.each([
    ['projects/a.b', true],
    ['{project_id -> uid}', true],
    ['projects/a.b-2', false],
    ['projects/aXb', false],
  ])('finds its project in %j: %p', (text, found) => {
    expect(new RegExp(pattern.value).test(text)).toBe(found);
  });
});
