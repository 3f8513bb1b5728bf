import { ConfigurationError } from '../errors';

/** What `endpoint` names; what is left out is looked up. */
export interface EndpointName {
  project: string;
  branch?: string;
  endpoint?: string;
}

/**
 * Only what a path cannot hold: which ids there are, the platform knows and
 * answers with 404. It makes UUIDs and `br-...` beside its documented form.
 */
const ID = String.raw`(?!\.{1,2}(?:/|$))([^\s/?#%\\'"]+)`;
const NAME = new RegExp(
  `^projects/${ID}(?:/branches/${ID}(?:/endpoints/${ID})?)?$`,
);

/** Whether it is an id alone; a host has dots. */
export const isId = (value: string) => /^[\w-]+$/.test(value);

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
      `${source} is not the name of an endpoint: '${value}'`,
      'Set it to projects/P/branches/B/endpoints/E, or leave out its last parts',
    );
  }
  const [, project, branch, endpoint] = found;
  return { project, branch, endpoint };
}
