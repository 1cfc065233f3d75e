import { describeError, SightdError } from '../core/errors.ts'
import type { FailureCode } from '../core/vision-protocol.ts'

/** Whether a model is to blame for an error, and the error in words. */
export function failureOf(error: unknown): { readonly code: FailureCode; readonly message: string } {
  const code = error instanceof SightdError ? error.code : undefined
  return {
    code: code === 'model_invalid' || code === 'bad_output' ? code : 'vision_failed',
    message: describeError(error),
  }
}
