/** Which labels may not begin an event, since one of theirs ended a short time ago. Times are steady times. */
export class Cooldown {
  readonly #durationMs: number
  readonly #untilMs = new Map<string, number>()

  constructor(durationMs: number) {
    this.#durationMs = durationMs
  }

  start(label: string, nowMs: number): void {
    if (this.#durationMs > 0) this.#untilMs.set(label, nowMs + this.#durationMs)
  }

  isOn(label: string, nowMs: number): boolean {
    return nowMs < (this.#untilMs.get(label) ?? 0)
  }
}
