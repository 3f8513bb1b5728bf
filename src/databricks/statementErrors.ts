import { LakebaseError } from '../errors';
import type { StatementInfo } from './statementReplies';

/** What the statement needs, to be named in a remedy. */
interface Failed {
  action: string;
  schema: string;
}

/** `[TABLE_OR_VIEW_NOT_FOUND] …`: a code, where the text after it may quote. */
const CONDITION = /^\W{0,3}([A-Z][A-Z0-9_]{2,60}(?:\.[A-Z0-9_]{2,60})?)\b/;

const NO_RIGHT =
  /INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|UNAUTHORIZED|TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|does not have (?:USE|SELECT)/i;

const STOPPED = /warehouse.{0,80}(stopped|terminated|deleted)/i;

/** Turns what became of a statement, other than success, into an error. */
export function explainStatement(
  { state, error }: StatementInfo,
  { action, schema }: Failed,
): LakebaseError {
  const text = error?.message ?? '';
  const condition =
    CONDITION.exec(text)?.[1] ?? error?.error_code?.match(/^[A-Z_]+$/)?.[0];
  const saw = condition ? `${state}, ${condition}` : state;
  if (state === 'CANCELED' || state === 'CLOSED') {
    return new LakebaseError('statement-failed', {
      problem: `Databricks did not ${action}: the statement was ended from outside (${state})`,
      remedy:
        'Try again; a warehouse ends what runs too long by its statement timeout',
    });
  }
  if (STOPPED.test(text)) {
    return new LakebaseError('warehouse-stopped', {
      problem: `The SQL warehouse stopped before it could ${action} (${saw})`,
      remedy: 'Try again, or name another one with --warehouse',
    });
  }
  if (NO_RIGHT.test(text)) {
    return new LakebaseError('permission-denied', {
      problem: `The identity of this configuration may not read ${schema} (${saw})`,
      remedy:
        `An account administrator enables the schema ${schema} once and grants ` +
        'it; a warehouse of another kind than serverless may refuse as well',
      statements: [
        'GRANT USE CATALOG ON CATALOG system TO `<identity>`;',
        `GRANT USE SCHEMA, SELECT ON SCHEMA ${schema} TO \`<identity>\`;`,
      ],
    });
  }
  return new LakebaseError('statement-failed', {
    problem: `Databricks refused to ${action} (${saw})`,
    remedy:
      'Run the SQL that the same command prints without --warehouse in the ' +
      'SQL editor, which shows the whole reason',
  });
}
