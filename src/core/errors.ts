/** Process exit codes, as docs/sightd.md lists them. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, config: 78 } as const

export type ErrorCode =
  | 'config_invalid'
  | 'model_invalid'
  | 'golden_mismatch'
  | 'bad_output'
  | 'image_invalid'
  | 'source_failed'
  | 'vision_failed'
  | 'picture_failed'
  | 'state_in_use'
  | 'turned_off'
  | 'ota_failed'
  | 'update_refused'
  | 'setup_failed'

/**
 * An error whose message is written for the person who has to act on it: what was attempted, on what, what was found.
 * Anything else that is thrown is a defect of sightd.
 */
export class SightdError extends Error {
  override readonly name = 'SightdError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** One line for a log or a state topic: the message and those of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError) return error.errors.map(describeError).join('; ')
  const message = error.message || error.name
  return error.cause === undefined ? message : `${message}: ${describeError(error.cause)}`
}
