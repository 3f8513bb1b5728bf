import { ConfigurationError } from '../errors';

/** What `endpoint` names; what is left out is looked up. */
export interface EndpointName {
  project: string;
  branch?: string;
  endpoint?: string;
}

const ID = '([a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)';
const NAME = new RegExp(
  `^projects/${ID}(?:/branches/${ID}(?:/endpoints/${ID})?)?$`,
);

export const isId = (value: string) => new RegExp(`^${ID}$`).test(value);

/**
 * Reads `projects/P`, `projects/P/branches/B` or
 * `projects/P/branches/B/endpoints/E`.
 *
 * @throws ConfigurationError that names `source`.
 */
export function parseEndpointName(value: string, source: string): EndpointName {
  const found = NAME.exec(value);
  if (!found) {
    throw new ConfigurationError(
      `${source} is not the name of an endpoint`,
      'Expected ' +
        'projects/P/branches/B/endpoints/E, or without its last parts, each an ' +
        'id of 1 to 63 lower-case letters, digits and hyphens, but got ' +
        `'${value}'`,
    );
  }
  const [, project, branch, endpoint] = found;
  return { project, branch, endpoint };
}
