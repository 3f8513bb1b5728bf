import { stringifyError } from '@backstage/errors';

interface Question {
  id: number;
  command: string;
  args: unknown[];
}

/** Does what the parent process asks for, and ends when that is gone. */
export function answerParent(
  commands: Record<string, (...args: never[]) => unknown>,
): void {
  const answer = async ({ id, command, args }: Question) => {
    try {
      const value = await commands[command](...(args as never[]));
      process.send!({ id, value });
    } catch (error) {
      process.send!({ id, error: stringifyError(error) });
    }
  };
  process.on('message', question => void answer(question as Question));
  process.once('disconnect', () => process.exit(1));
}
