import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ENTITIES_PER_FILE = 500;

const WORDS = (
  'account basket billing catalog checkout courier customer delivery discount ' +
  'fraud gateway inventory invoice ledger loyalty mailing order parcel payment ' +
  'price product refund return review search shipment stock supplier tax warehouse'
).split(' ');

/** Each of them is in the texts of many entities. */
export const TERMS = WORDS;

const wordAt = (index: number) => WORDS[index % WORDS.length];

const component = (index: number) => `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: component-${index}
  title: The ${wordAt(index)} ${wordAt(7 * index + 3)} service ${index}
  description: >-
    Takes every ${wordAt(3 * index)} to its ${wordAt(5 * index + 1)}, and tells
    the ${wordAt(11 * index + 2)} of it.
  tags: [${wordAt(index + 1)}, ${wordAt(13 * index + 4)}-tag]
  annotations:
    example.com/source: repository-${index % 997}
spec:
  type: service
  lifecycle: ${index % 3 ? 'production' : 'experimental'}
  owner: team-${index % 40}
  system: system-${index % 200}
`;

export interface CatalogFiles {
  paths: string[];
  /** With one Location per file. */
  entityCount: number;
  remove(): Promise<void>;
}

/** Writes components to files that the catalog reads. */
export async function writeCatalogFiles(count: number): Promise<CatalogFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-catalog-'));
  const paths: string[] = [];
  for (let first = 0; first < count; first += ENTITIES_PER_FILE) {
    const length = Math.min(ENTITIES_PER_FILE, count - first);
    const texts = Array.from({ length }, (_, index) =>
      component(first + index),
    );
    const path = join(folder, `components-${first}.yaml`);
    await writeFile(path, texts.join('---\n'));
    paths.push(path);
  }
  return {
    paths,
    entityCount: count + paths.length,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
