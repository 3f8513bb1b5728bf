import { poll } from '../../../testbed/waiting';
import { expect, type Backstage, type Check } from '../check';
import { BOOKS } from '../shelf';

interface Results {
  results: { document: { title: string; location: string } }[];
  numberOfResults: number;
  nextPageCursor?: string;
}

const DOCUMENT = '/docs/default/component/handbook/';

const search = ({ service }: Backstage, query: Record<string, string>) =>
  service.json<Results>(
    `search/query?${new URLSearchParams(query).toString()}`,
  );

/** Goes through all pages, as somebody who has much time. */
async function findBooks(backstage: Backstage): Promise<Set<string>> {
  const found = new Set<string>();
  const query: Record<string, string> = {
    'types[0]': 'software-catalog',
    'filters[type]': 'book',
    pageLimit: '100',
  };
  for (;;) {
    const { results, nextPageCursor } = await search(backstage, query);
    for (const { document } of results) found.add(document.title);
    if (!nextPageCursor) return found;
    query.pageCursor = nextPageCursor;
  }
}

export const searchCheck: Check<void> = {
  plugin: 'search',
  does: `PgSearchEngine finds each of the ${BOOKS.length} entities, page by page, and the TechDocs page`,
  async run({ there, installation, signal }) {
    await poll(
      'a search to find all books',
      async () => {
        const found = await findBooks(there);
        const missing = BOOKS.filter(name => !found.has(name));
        return missing.length > 0 ? `${missing.length} missing` : undefined;
      },
      signal,
    );
    await poll(
      'a search to find the handbook',
      async () => {
        const { results } = await search(there, { term: 'quarantine' });
        const found = results.some(
          ({ document }) => document.location === DOCUMENT,
        );
        return found ? undefined : `${results.length} others`;
      },
      signal,
    );
    // The in-memory engine would have answered as well.
    const rows = await installation.count('search', 'documents');
    expect(rows > BOOKS.length, 'the index in the database');
  },
};
