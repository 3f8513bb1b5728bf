import { inspect } from 'node:util';

/** Whatever a log, a debugger or an error page could show of an error. */
export function everythingIn(error: unknown): string {
  const shown: string[] = [];
  let link = error;
  while (link instanceof Object) {
    const { message, stack, cause } = link as Error;
    shown.push(
      message,
      stack ?? '',
      JSON.stringify(link),
      JSON.stringify(Object.getOwnPropertyDescriptors(link)),
      inspect(link, {
        depth: 10,
        showHidden: true,
        maxArrayLength: null,
        maxStringLength: null,
      }),
    );
    link = cause;
  }
  return shown.join('\n');
}
