// Writes the entry for ES modules, which hands on what the CommonJS one exports:
// Node would give them the whole module in place of its default export.
import { createRequire } from 'node:module';
import { writeFile } from 'node:fs/promises';

const dist = new URL('../dist/', import.meta.url);
const names = Object.keys(createRequire(import.meta.url)('../dist/index.js'))
  .filter(name => name !== 'default')
  .sort();

await writeFile(
  new URL('index.mjs', dist),
  `import module from './index.js';\nexport const { ${names.join(', ')} } = module;\nexport default module.default;\n`,
);
await writeFile(
  new URL('index.d.mts', dist),
  `import module from './index.js';\nexport * from './index.js';\ndeclare const feature: typeof module.default;\nexport default feature;\n`,
);
