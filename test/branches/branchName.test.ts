import {
  checkName,
  isOurs,
  nameForGitBranch,
  nameForPullRequest,
  pullRequestOf,
} from '../../src/branches/branchName';

const ID = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

const GIT_BRANCHES = [
  'main',
  'feature/search',
  'feature-search',
  'Feature/Search',
  'feature//search',
  '--help',
  '-',
  '中文分支',
  '中文分枝',
  '123',
  'fix_#42: $(rm -rf /)',
  'a'.repeat(59),
  'a'.repeat(60),
  'a'.repeat(200),
  `${'a'.repeat(200)}b`,
  `${'a'.repeat(53)}-b`,
  'ends-',
  'ends',
];

describe('a name after a git branch', () => {
  const names = GIT_BRANCHES.map(nameForGitBranch);

  it.each(GIT_BRANCHES)('is one for the platform: %s', branch => {
    expect(nameForGitBranch(branch)).toMatch(ID);
    expect(nameForGitBranch(branch)).toBe(nameForGitBranch(branch));
  });

  it('is that of no other git branch', () => {
    expect(new Set(names).size).toBe(GIT_BRANCHES.length);
  });

  it('is known for one of ours', () => {
    expect(names.every(isOurs)).toBe(true);
  });

  it('is changed no more than it must be', () => {
    expect(nameForGitBranch('main')).toBe('dev-main');
    expect(nameForGitBranch('feature-search')).toBe('dev-feature-search');
    expect(nameForGitBranch('feature/search')).toMatch(
      /^dev-feature-search-[0-9a-f]{8}$/,
    );
  });
});

describe('a name of a pull request', () => {
  it('tells its number', () => {
    expect(nameForPullRequest(42)).toBe('ci-pr-42');
    expect(pullRequestOf('ci-pr-42')).toBe(42);
    expect(isOurs('ci-pr-42')).toBe(true);
  });

  it.each(['production', 'ci-pr-', 'ci-pr-0', 'ci-pr-4x', 'my-ci-pr-4', 'dev'])(
    'is not %s',
    id => {
      expect(pullRequestOf(id)).toBeUndefined();
      expect(isOurs(id)).toBe(false);
    },
  );
});

describe('a given name', () => {
  it.each(['a', 'demo', 'a-1', 'a'.repeat(63)])('may be %s', name => {
    expect(checkName(name)).toBe(name);
  });

  it.each(['', 'A', '1a', 'a-', '-a', 'a_b', 'a b', 'a/b', 'a'.repeat(64)])(
    'may not be %j',
    name => {
      expect(() => checkName(name)).toThrow(/no name of a branch.*lower-case/);
    },
  );
});
