import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDatabricksProfile } from '../../src/config/databricksProfile';
import {
  CANARY,
  catchRefusal,
  readBlock,
  temporaryFiles,
} from '../support/appConfig';

const files = temporaryFiles();

const profile = (text: string, name?: string) =>
  readDatabricksProfile(
    { DATABRICKS_CONFIG_FILE: files.file('cfg', text) },
    name === undefined ? undefined : { name, key: 'KEY' },
  );

describe('the file of profiles', () => {
  it.each<[string, string, string]>([
    ['blanks around it', '  token =  dapi ', 'dapi'],
    ['no blanks around it', 'token=dapi', 'dapi'],
    ['a colon before it', 'token: dapi', 'dapi'],
    ['quotes around it', 'token = "dapi"', 'dapi'],
    ['a comment behind it', 'token = dapi # mine', 'dapi'],
    ['another comment behind it', 'token = dapi ; mine', 'dapi'],
    ['a comment in its place', 'token = # none yet', ''],
    ['a # in it', 'token = da#pi', 'da#pi'],
    ['a ; in it', 'token = da;pi', 'da;pi'],
    ['an = in it', 'token = da=pi==', 'da=pi=='],
    ['a backslash in it', 'token = C:\\new', 'C:\\new'],
    ['the end of a line of Windows', 'token = dapi\r', 'dapi'],
  ])('may have a value with %s', (_, line, value) => {
    const text = `# token = no\n; token = no\n\n[p]\n${line}\nhost = x\n`;

    expect(profile(text, 'p')!.values).toEqual({ token: value, host: 'x' });
  });

  it.each<BufferEncoding>(['utf8', 'utf16le'])(
    'may be saved as %s, with a mark of that at its begin',
    encoding => {
      const file = join(files.folder(), 'cfg');
      writeFileSync(file, Buffer.from('\uFEFF[p]\nToken = dapi\n', encoding));

      expect(
        readDatabricksProfile(
          { DATABRICKS_CONFIG_FILE: file },
          { name: 'p', key: 'KEY' },
        )!.values,
      ).toEqual({ token: 'dapi' });
    },
  );

  it('may have capitals in its keys', () => {
    expect(profile('[p]\nHost = x\nTOKEN = y', 'p')!.values).toEqual({
      host: 'x',
      token: 'y',
    });
  });

  it('need not be where there is no home', () => {
    expect(
      readDatabricksProfile({ HOME: '/dev/null' }, undefined),
    ).toBeUndefined();
  });

  it.each([
    ['a host', {}],
    ['an identity', { host: 'https://h.example.com' }],
  ])('leads to its profiles where %s is missing', (_, workspace) => {
    const DATABRICKS_CONFIG_FILE = files.file('cfg', '[dev]\n[prod]\n');

    const message = catchRefusal(() =>
      readBlock(
        { endpoint: 'projects/p', workspace },
        { DATABRICKS_CONFIG_FILE },
      ),
    );

    expect(message).toMatch(
      /workspace\.profile or DATABRICKS_CONFIG_PROFILE: there are dev, prod$/,
    );
  });

  it('keeps its sections apart', () => {
    const text =
      '[DEFAULT]\ntoken=a\nclient_id=z\n[b.c]\ntoken=b\n[__proto__]\n';

    expect(profile(text)!.values).toEqual({ token: 'a', client_id: 'z' });
    expect(profile(text, 'b.c')!.values).toEqual({ token: 'b' });
  });

  it('has a default profile', () => {
    const text = '[a]\ntoken=a\n[__settings__]\ndefault_profile = a\n';

    expect(profile(text)).toMatchObject({ name: 'a', values: { token: 'a' } });
  });

  it.each<[string, { text: string; name?: string }, string[]]>([
    ['by a setting', { text: '[a]\ntoken=x', name: 'b' }, ['KEY', "'b'"]],
    [
      'by the file itself',
      { text: `[a]\ntoken=${CANARY}\n[__settings__]\ndefault_profile=c` },
      ['default_profile', "'c'"],
    ],
  ])('has to have a profile that is named %s', (_, { text, name }, parts) => {
    const file = files.file('cfg', text);
    const env = { DATABRICKS_CONFIG_FILE: file };

    const message = catchRefusal(() =>
      readDatabricksProfile(env, name ? { name, key: 'KEY' } : undefined),
    );

    for (const part of [...parts, file]) expect(message).toContain(part);
  });

  it('need not have the one that nobody named', () => {
    expect(profile('[a]\ntoken=x')).toBeUndefined();
  });

  it('need not exist, unless a profile is named', () => {
    const file = join(files.folder(), 'missing');
    const env = { DATABRICKS_CONFIG_FILE: file };

    expect(readDatabricksProfile(env, undefined)).toBeUndefined();
    const message = catchRefusal(() =>
      readDatabricksProfile(env, { name: 'p', key: 'KEY' }),
    );
    expect(message).toContain(`KEY names the profile 'p', but ${file}`);
  });

  it.each(['HOME', 'USERPROFILE'])('is found by %s', variable => {
    const file = files.file('.databrickscfg', '[DEFAULT]\ntoken=x');
    const env = { [variable]: join(file, '..') };

    expect(readDatabricksProfile(env, undefined)).toMatchObject({ file });
  });

  it('is not looked for where nobody is at home', () => {
    expect(readDatabricksProfile({}, undefined)).toBeUndefined();
  });

  it('is told by name when it cannot be read', () => {
    const folder = files.folder();
    const env = { DATABRICKS_CONFIG_FILE: folder };

    const message = catchRefusal(() => readDatabricksProfile(env, undefined));

    expect(message).toContain(folder);
    expect(message).toContain('EISDIR');
  });
});
