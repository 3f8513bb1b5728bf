import { text } from 'node:stream/consumers';
import { getHeapSnapshot } from 'node:v8';
import type { JsonObject } from '@backstage/types';
import { answerParent } from '../../testbed/answerParent';
import { FakeClock, settle } from '../../testbed/fakeClock';
import { queryInParallel } from './lakebase';
import { lakebaseProcess } from './lakebaseProcess';
import { HOUR } from '../../testbed/durations';

// The entry of a process that looks into its own memory.
const clock = new FakeClock();
const { lakebase, lines } = lakebaseProcess(
  JSON.parse(process.argv[2]) as JsonObject,
  clock,
);
const catalog = lakebase.forPlugin('catalog')!;

async function rotate(): Promise<void> {
  // The log is this test's own, and would grow.
  lines.splice(0);
  await clock.advance(HOUR / 2);
  while (!lines.some(({ message }) => /^Minted/.test(message))) await settle();
}

const idIn = (payload: string) =>
  (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { jti: string })
    .jti;

/** The tokens of the emulator in any string on the heap. */
async function inspectHeap() {
  const snapshot = await text(getHeapSnapshot());
  const credentials = snapshot.matchAll(/eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]{20}/g);
  const workspaceTokens = snapshot.match(/eyJ[0-9a-f]{48}/g);
  return {
    credentialIds: [...new Set([...credentials].map(([, it]) => idIn(it)))],
    workspaceTokens: new Set(workspaceTokens).size,
  };
}

export type Heap = Awaited<ReturnType<typeof inspectHeap>>;

answerParent({
  connect: async (count: number) => {
    await queryInParallel(await catalog.getClient(), count);
  },
  rotate: async (times: number) => {
    for (let done = 0; done < times; done++) await rotate();
  },
  inspectHeap,
});
