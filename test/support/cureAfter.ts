/** The sentence of an error's text that comes after the one with the cause. */
export function cureAfter(cause: string, said: string): string | undefined {
  const sentences = said.split(/\. (?=["A-Z])|; caused by /);
  return sentences[sentences.findIndex(one => one.includes(cause)) + 1];
}
