/** Delays that double from `firstMs` to `lastMs`, each spread over ±50 % so that a fleet doesn't retry in step; never ends. */
export function* backoffDelays({
  firstMs,
  lastMs,
  random = Math.random,
}: {
  firstMs: number
  lastMs: number
  random?: () => number
}): Generator<number, never> {
  for (let ms = firstMs; ; ms = Math.min(ms * 2, lastMs)) yield ms * (0.5 + random())
}
