import { ApiError } from './apiError';
import type { Catalog } from './catalog';
import { checkFields } from './fields';
import type { Operations } from './operations';

interface Registration {
  database: string;
  branch: string;
  at: number;
}

const FIELDS = ['postgres_database', 'branch', 'create_database_if_missing'];

/** Databases that Unity Catalog shows, each as a catalog of its own. */
export class Registrations {
  readonly #catalog: Catalog;
  readonly #operations: Operations;
  readonly #now: () => number;
  readonly #hasDatabase: (branch: string, name: string) => Promise<boolean>;
  readonly #registered = new Map<string, Registration>();

  constructor(options: {
    catalog: Catalog;
    operations: Operations;
    now: () => number;
    hasDatabase: (branch: string, name: string) => Promise<boolean>;
  }) {
    this.#catalog = options.catalog;
    this.#operations = options.operations;
    this.#now = options.now;
    this.#hasDatabase = options.hasDatabase;
  }

  async create(
    id: string | null,
    spec: Record<string, unknown>,
  ): Promise<object> {
    if (!id) throw new ApiError(400, "Field 'catalog_id' is required");
    checkFields(spec, FIELDS);
    const { postgres_database: database, branch } = spec;
    if (typeof database !== 'string' || typeof branch !== 'string')
      throw new ApiError(
        400,
        "Fields 'postgres_database' and 'branch' are required",
      );
    this.#catalog.branch(branch);
    if (this.#registered.has(id))
      throw new ApiError(409, 'catalog already exists', 'ALREADY_EXISTS');
    if (this.#isTaken(branch, database))
      throw new ApiError(
        400,
        `database ${database} is already registered in Unity Catalog`,
      );
    if (!(await this.#hasDatabase(branch, database)))
      throw new ApiError(404, 'database id not found');
    this.#registered.set(id, { database, branch, at: this.#now() });
    return this.#operations.start(`catalogs/${id}`, 'Catalog', () =>
      Promise.resolve(this.read(id)),
    );
  }

  read(id: string): object {
    const found = this.#registered.get(id);
    if (!found) throw new ApiError(404, 'catalog id not found');
    const { database, branch } = found;
    return {
      name: `catalogs/${id}`,
      status: { postgres_database: database, branch },
    };
  }

  /** There itself, or on the branch that it is a copy of, before the copy. */
  #isTaken(branch: string, database: string, before = Infinity): boolean {
    const here = [...this.#registered.values()].some(
      it => it.database === database && it.branch === branch && it.at < before,
    );
    const { source, createdAt } = this.#catalog.branch(branch);
    return (
      here ||
      (source !== undefined &&
        this.#isTaken(source, database, Math.min(before, createdAt)))
    );
  }
}
