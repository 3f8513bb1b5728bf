import type { JsonObject } from '@backstage/types';
import { checkAtStart } from '../support/appConfig';

const changes = (database: JsonObject) =>
  checkAtStart(database).forPlugin('catalog')!.changes;
const catalog = (own: JsonObject) => ({ plugin: { catalog: own } });
const schemas = { pluginDivisionMode: 'schema', ensureExists: false };

describe('an installation that comes from the stock connector', () => {
  it.each([
    ['nothing', {}],
    ['a role of all', { role: 'owner' }],
    [
      'a role of a plugin that all have',
      { role: 'a', ...catalog({ role: 'a' }) },
    ],
    ['a role of another plugin', { plugin: { search: { role: 'a' } } }],
    [
      'ensureSchemaExists in database mode',
      { ensureExists: false, ...catalog({ ensureSchemaExists: true }) },
    ],
    [
      'ensureSchemaExists under ensureExists',
      {
        pluginDivisionMode: 'schema',
        ...catalog({ ensureSchemaExists: false }),
      },
    ],
    [
      'the same ensureSchemaExists',
      { ...schemas, ...catalog({ ensureSchemaExists: false }) },
    ],
  ])('is told nothing with %s', (_, database: JsonObject) => {
    expect(changes(database)).toEqual([]);
  });

  it('is told that a role of a plugin takes effect', () => {
    const [change, ...more] = changes(catalog({ role: 'own' }));

    expect(more).toEqual([]);
    expect(change).toContain(
      'backend.database.plugin.catalog.role takes effect',
    );
    expect(change).toContain("plugin 'catalog' acts as role own");
    expect(change).toContain('the plugin acted as the login');
  });

  it('is told which role that was before', () => {
    const [change] = changes({ role: 'base', ...catalog({ role: 'own' }) });

    expect(change).toContain('the plugin acted as role base');
  });

  it.each([
    [true, 'is created', 'was not'],
    [false, 'is not created', 'was.'],
  ])('is told that ensureSchemaExists: %s takes effect', (own, now, then) => {
    const [change] = changes({
      ...schemas,
      ensureSchemaExists: !own,
      ...catalog({ ensureSchemaExists: own }),
    });

    expect(change).toContain('plugin.catalog.ensureSchemaExists takes effect');
    expect(change).toContain(`a missing schema of plugin 'catalog' ${now}`);
    expect(change).toContain(`so it ${then}`);
  });

  it('is told what an unknown division mode counts as', () => {
    const [note] = checkAtStart({ pluginDivisionMode: 'Schema' }).notes;

    expect(note).toContain("backend.database.pluginDivisionMode is 'Schema'");
    expect(note).toContain("counts as 'database'");
  });

  it.each([true, 'true'])('is told that keepalive: %s is not done', on => {
    const [note] = checkAtStart({ keepalive: on }).notes;

    expect(note).toContain('backend.database.keepalive has no effect');
  });

  it('is told nothing of keepalive: false', () => {
    expect(checkAtStart({ keepalive: false }).notes).toEqual([]);
  });

  it.each([undefined, 'database', 'schema'])(
    'is told nothing of the division mode %s',
    pluginDivisionMode => {
      const mode = pluginDivisionMode ? { pluginDivisionMode } : {};
      expect(checkAtStart(mode).notes).toEqual([]);
    },
  );
});
