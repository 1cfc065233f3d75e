/**
 * Decides which hints are heard. Anyone may send them, and each ends what is under way: one that does not come true is the
 * last for a while, so that lies can't keep a candidate from its end.
 */
export class HintGate {
  readonly #deafMs: number
  #version = 0
  #deafUntilMs = 0

  constructor(deafMs: number) {
    this.#deafMs = deafMs
  }

  /** Whether it is worth a look that there should be a version, where one is `known`; at `nowMs` of a clock that never jumps. */
  isHeard(version: number, known: number, nowMs: number): boolean {
    const isDeaf = this.#version > known && nowMs < this.#deafUntilMs
    if (version <= known || isDeaf) return false
    this.#version = version
    this.#deafUntilMs = nowMs + this.#deafMs
    return true
  }
}
