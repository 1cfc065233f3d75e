import type { EventOptions } from '../../core/event-options.ts'

/** What the configuration says of each label. `threshold` is for those without their own. */
export class LabelRules {
  readonly #options: EventOptions
  readonly #threshold: number
  readonly #own: ReadonlyMap<string, EventOptions['labels'][string]>
  readonly #allowed: ReadonlySet<string> | undefined
  readonly #denied: ReadonlySet<string>

  constructor(options: EventOptions, threshold: number) {
    this.#options = options
    this.#threshold = threshold
    this.#own = new Map(Object.entries(options.labels))
    this.#allowed = options.allow && new Set(options.allow)
    this.#denied = new Set(options.deny)
  }

  /** Whether this label may make events. What is denied may not, though it be allowed. */
  isWanted(label: string): boolean {
    return (this.#allowed?.has(label) ?? true) && !this.#denied.has(label)
  }

  /** The score from which something begins an event. */
  enterScore(label: string): number {
    return this.#own.get(label)?.threshold ?? this.#threshold
  }

  /** The score down to which it stays in view. */
  keepScore(label: string): number {
    return this.enterScore(label) * this.#options.keep_ratio
  }

  /** The share of the frame's area from which it begins an event. */
  minSize(label: string): number {
    return this.#own.get(label)?.min_size ?? this.#options.min_size
  }
}
