/** What a backend writes that uses all of the public API. */
export const SOURCE = `
import feature, {
  LakebaseError,
  lakebaseDatabaseServiceFactory,
  lakebaseWorkspaceTokenServiceRef,
  type LakebaseErrorCode,
  type LakebaseExplanation,
  type LakebaseWorkspaceTokenService,
} from 'backstage-backend-module-lakebase';
import {
  type BackendFeature,
  createServiceFactory,
} from '@backstage/backend-plugin-api';

export const features: BackendFeature[] = [
  feature,
  lakebaseDatabaseServiceFactory,
  createServiceFactory({
    service: lakebaseWorkspaceTokenServiceRef,
    deps: {},
    factory: (): LakebaseWorkspaceTokenService => ({
      getToken: async ({ workspaceHost, signal }) => {
        signal.throwIfAborted();
        return { token: workspaceHost, expiresAt: new Date() };
      },
    }),
  }),
];

export function remedyOf(error: unknown): string | undefined {
  if (!(error instanceof LakebaseError)) return undefined;
  const code: LakebaseErrorCode = error.code;
  const explanation: LakebaseExplanation = error.explanation;
  return error.permanent ? explanation.remedy : code;
}
`;

export interface Consumer {
  name: string;
  extension: string;
  compilerOptions: object;
}

const STRICT = {
  strict: true,
  noEmit: true,
  target: 'ES2022',
  lib: ['ES2023'],
  types: ['node'],
  esModuleInterop: true,
  // Other packages' declarations are not what is looked at.
  skipLibCheck: true,
};

export const CONSUMERS: Consumer[] = [
  {
    name: 'node16-commonjs',
    extension: 'cts',
    compilerOptions: {
      ...STRICT,
      module: 'node16',
      moduleResolution: 'node16',
    },
  },
  {
    name: 'node16-modules',
    extension: 'mts',
    compilerOptions: {
      ...STRICT,
      module: 'node16',
      moduleResolution: 'node16',
    },
  },
  {
    name: 'bundler',
    extension: 'ts',
    compilerOptions: {
      ...STRICT,
      module: 'ES2022',
      moduleResolution: 'bundler',
    },
  },
  {
    // What @backstage/cli/config/tsconfig.json says that matters here.
    name: 'a-created-app',
    extension: 'ts',
    compilerOptions: {
      ...STRICT,
      target: 'ES2024',
      lib: ['DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ScriptHost', 'ES2024'],
      module: 'ES2020',
      moduleResolution: 'bundler',
      isolatedModules: true,
      jsx: 'react',
      noImplicitReturns: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      useDefineForClassFields: true,
    },
  },
];
