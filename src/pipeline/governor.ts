/** What a board says of itself now; null for what it doesn't tell. */
export type BoardReading = {
  readonly tempC: number | null
  /** The firmware's bits; see `hotBits`. */
  readonly throttled: number | null
}

/** Throttled now, and soft temperature limit reached now (Raspberry Pi firmware, `vcgencmd get_throttled`). */
const hotBits = 0b1100

/** Trouble must last this long to count, and be gone this long to be over. */
const engageMs = 30_000
const releaseMs = 60_000

/**
 * Halves the inference rate while the board is throttled or too hot, so that it need not be throttled further. Between
 * `coolC` and `hotC` things stay as they are.
 */
export class Governor {
  readonly #limits: { readonly hotC: number; readonly coolC: number }
  /** Since when the board has been in the other state than the one in force. */
  #changingSinceMs: number | undefined
  /** Why the rate is halved, in words; undefined while it is not. */
  reason: string | undefined

  constructor(limits: { readonly hotC: number; readonly coolC: number }) {
    this.#limits = limits
  }

  /** Takes a reading at `nowMs` of a clock that never jumps; true when the rate is to change. */
  note(reading: BoardReading, nowMs: number): boolean {
    const isActive = this.reason !== undefined
    const trouble = this.#troubleIn(reading)
    const isChanging = isActive ? trouble === undefined && this.#isCool(reading) : trouble !== undefined
    if (!isChanging) {
      this.#changingSinceMs = undefined
      return false
    }
    this.#changingSinceMs ??= nowMs
    if (nowMs - this.#changingSinceMs < (isActive ? releaseMs : engageMs)) return false
    this.reason = trouble
    this.#changingSinceMs = undefined
    return true
  }

  #troubleIn({ tempC, throttled }: BoardReading): string | undefined {
    if (throttled !== null && (throttled & hotBits) !== 0)
      return `the firmware throttles the CPU (0x${throttled.toString(16)})`
    if (tempC !== null && tempC >= this.#limits.hotC) return `the CPU is at ${tempC.toFixed(0)} °C`
    return undefined
  }

  #isCool({ tempC }: BoardReading): boolean {
    return tempC === null || tempC < this.#limits.coolC
  }
}

/**
 * Half of what the rate may be: of its limit, of the camera's rate, or of what the model can do, whichever is least. What it
 * did does not count: nothing, in a still scene.
 */
export function halvedFps(maxFps: number | null, cameraFps: number, inferenceMs: number | undefined): number {
  const possibleFps = inferenceMs === undefined ? cameraFps : 1000 / inferenceMs
  return Math.min(maxFps ?? cameraFps, cameraFps, possibleFps) / 2
}
