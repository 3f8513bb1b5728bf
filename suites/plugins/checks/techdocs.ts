import { expect, type Check } from '../check';

const HANDBOOK = 'default/component/handbook';

export const techdocs: Check<void> = {
  plugin: 'techdocs',
  does: 'a page that was built elsewhere is served',
  async run({ there, installation }) {
    const page = await there.user.request(
      `techdocs/static/docs/${HANDBOOK}/index.html`,
    );
    expect((await page.text()).includes('quarantine'), 'the page');
    const metadata = await there.user.json<{ site_name: string }>(
      `techdocs/metadata/techdocs/${HANDBOOK}`,
    );
    expect(metadata.site_name === 'Library handbook', 'the metadata');
    // Its only tables are those that every plugin has.
    await installation.count('techdocs', 'backstage_backend_public_keys__keys');
  },
};
