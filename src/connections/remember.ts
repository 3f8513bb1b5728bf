/**
 * What is kept under a key, made by the first who asks. What fails is not kept:
 * the next call tries again.
 */
export function remember<K, V>(
  kept: Map<K, Promise<V>>,
  key: K,
  make: () => Promise<V>,
): Promise<V> {
  const existing = kept.get(key);
  if (existing) return existing;
  const made = make().catch(error => {
    kept.delete(key);
    throw error;
  });
  kept.set(key, made);
  return made;
}
