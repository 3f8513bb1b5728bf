import type { RefusalRule } from './refusalRule';

/** What the platform says of a change to branches, by its texts where it must. */
export const BRANCH_RULES: RefusalRule[] = [
  ...(
    [
      [
        'branch-ttl-capped',
        /maximum expiration/i,
        'Ask for a shorter --ttl: the workspace caps it',
      ],
      [
        'branch-quota',
        /(limit|quota|maximum number).{0,40}branch/i,
        'Delete branches that nobody needs: a project has 10 that are not archived',
      ],
      [
        'branch-refused',
        /protected/i,
        'A protected branch cannot be deleted and does not expire: take the ' +
          'protection off first, if that is meant',
      ],
      [
        'branch-refused',
        /root branch|default branch|MANAGED_BY_PARENT/i,
        'The root and the default branch of a project stay as they are',
      ],
      [
        'branch-refused',
        /expires?\b.{0,40}children|children.{0,40}expire/i,
        'A branch that expires has no children: begin at one that does not, ' +
          'such as production',
      ],
      [
        'branch-refused',
        /children/i,
        'Delete the branches that were made from it first',
      ],
      [
        'branch-refused',
        /not ready|being created/i,
        'Wait until the source branch is made, and try again',
      ],
      [
        'branch-refused',
        /future|history|retention|source_branch_(time|lsn)/i,
        'Take a moment within the restore window of the project, and no ' +
          'earlier than its branch',
      ],
    ] as const
  ).map(([code, text, remedy]) => ({
    code,
    surfaces: ['branches' as const],
    text,
    errorCodes: [],
    statuses: [],
    remedy: () => remedy,
  })),
  {
    code: 'permission-denied',
    surfaces: ['branches'],
    errorCodes: ['PERMISSION_DENIED', 'CUSTOMER_UNAUTHORIZED'],
    statuses: [403],
    remedy: s =>
      `Give ${s.who} CAN MANAGE on the Lakebase project of ${s.endpoint}: ` +
      'CAN USE is enough to log in, and not to make or delete branches',
  },
  {
    code: 'branch-exists',
    surfaces: ['branches'],
    errorCodes: [
      'ALREADY_EXISTS',
      'RESOURCE_ALREADY_EXISTS',
      'RESOURCE_CONFLICT',
    ],
    statuses: [],
    remedy: () => 'Choose another name, or delete that branch',
  },
  {
    code: 'branch-quota',
    surfaces: ['branches'],
    errorCodes: ['QUOTA_EXCEEDED', 'RESOURCE_LIMIT_EXCEEDED'],
    statuses: [],
    remedy: () =>
      'Delete branches that nobody needs, or ask for a higher limit',
  },
  {
    code: 'branch-missing',
    surfaces: ['branches'],
    errorCodes: ['NOT_FOUND', 'RESOURCE_DOES_NOT_EXIST', 'ENDPOINT_NOT_FOUND'],
    statuses: [404],
    remedy: s =>
      'See which branches there are with backstage-lakebase branch list, and ' +
      `check ${s.endpointKey} (${s.endpoint})`,
  },
  {
    code: 'branch-refused',
    surfaces: ['branches'],
    errorCodes: ['BAD_REQUEST', 'INVALID_PARAMETER_VALUE', 'INVALID_STATE'],
    statuses: [400],
    remedy: s => `See the branches of the project of ${s.endpoint}`,
  },
];
