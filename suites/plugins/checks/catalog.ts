import { expect, type Backstage, type Check } from '../check';
import { BOOKS } from '../shelf';

interface Page {
  items: { metadata: { name: string } }[];
  totalItems: number;
  pageInfo: { nextCursor?: string };
}

const BY_QUERY = 'catalog/entities/by-query';
const FILTER = 'filter=kind=component,spec.type=book';

export async function countBooks({ service }: Backstage): Promise<number> {
  const page = await service.json<Page>(`${BY_QUERY}?limit=0&${FILTER}`);
  return page.totalItems;
}

export const catalog: Check<void> = {
  plugin: 'catalog',
  does: `${BOOKS.length} entities of a scheduled provider, read page by page`,
  async run({ there, installation }) {
    const found = new Set<string>();
    let next: string | undefined = `limit=500&${FILTER}`;
    while (next) {
      const page: Page = await there.service.json<Page>(`${BY_QUERY}?${next}`);
      for (const { metadata } of page.items) found.add(metadata.name);
      const { nextCursor } = page.pageInfo;
      next = nextCursor && `limit=500&cursor=${encodeURIComponent(nextCursor)}`;
    }
    expect(
      BOOKS.every(name => found.has(name)),
      `all ${BOOKS.length} books in the catalog, found ${found.size}`,
    );
    const rows = await installation.count(
      'catalog',
      'final_entities',
      `entity_ref LIKE 'component:default/book-%'`,
    );
    expect(rows === BOOKS.length, `${BOOKS.length} books in the database`);
  },
};
