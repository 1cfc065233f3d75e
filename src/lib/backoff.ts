export type Backoff = {
  readonly firstMs: number
  readonly lastMs: number
  /** Where the first delay lies instead, for trouble that many have at one moment. */
  readonly firstRangeMs?: readonly [from: number, to: number]
}

/** Delays that double from `firstMs` to `lastMs`, each spread over ±50 % so that a fleet doesn't retry in step; never ends. */
export function* backoffDelays({
  firstMs,
  lastMs,
  firstRangeMs: [fromMs, toMs] = [firstMs * 0.5, firstMs * 1.5],
  random = Math.random,
}: Backoff & { readonly random?: () => number }): Generator<number, never> {
  yield fromMs + (toMs - fromMs) * random()
  for (let ms = firstMs; ; ) {
    ms = Math.min(ms * 2, lastMs)
    yield ms * (0.5 + random())
  }
}
