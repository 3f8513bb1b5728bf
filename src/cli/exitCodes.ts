/** How the command ends; said in its help. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** As shells say it of a command that they do not find. */
  notFound: 127,
} as const;
