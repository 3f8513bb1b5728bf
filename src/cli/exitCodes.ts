/** How the command ends; said in its help. */
export const EXIT = {
  ok: 0,
  /** Something was found that is not as it should be. */
  finding: 1,
  usage: 2,
  /** What was to be done could not be: nothing is known of the rest. */
  unable: 3,
  /** As shells say it of a command that they do not find. */
  notFound: 127,
  /** As shells say it of what Ctrl-C ended. */
  interrupted: 130,
} as const;
