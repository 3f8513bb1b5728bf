import { postgresFromEnvironment } from '../emulator';
import { compare } from './parity/compare';
import { DIFFERENCES } from './parity/differences';
import { observe } from './parity/observe';
import { ROWS } from './parity/rows';
import { startSides, type Sides } from './parity/sides';

describe('an installation that switches to Lakebase', () => {
  let sides: Sides;
  const seen = new Set<string>();

  beforeAll(async () => {
    sides = await startSides(postgresFromEnvironment()!);
  });

  afterAll(async () => {
    await sides.stop();
  });

  it.each(ROWS)('finds the same with $name', async row => {
    const stock = await observe(row, sides.stock, sides);
    const ours = await observe(row, sides.ours, sides);

    const { allowed, unexplained } = compare(row, stock, ours);

    expect(unexplained).toEqual([]);
    expect(allowed).toEqual(expect.arrayContaining(row.differs ?? []));
    allowed.forEach(name => seen.add(name));
  });

  it('finds each difference that is allowed, and no obsolete one', () => {
    const names = DIFFERENCES.map(({ name }) => name);

    expect([...seen].sort()).toEqual(names.sort());
  });
});
