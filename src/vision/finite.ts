import { SightdError } from '../core/errors.ts'
import type { RawOutputs } from './decode.ts'

/** Throws a SightdError `bad_output` that names the first output with NaN or infinity in it. */
export function checkFinite(outputs: RawOutputs): void {
  for (const name of Object.keys(outputs)) {
    const values = outputs[name]
    if (values instanceof Float32Array && !areFinite(values))
      throw new SightdError('bad_output', `the model's output ${name} has NaN or infinity in it`)
  }
}

/** A sum of float32 values in float64 can't overflow, and each NaN or infinity stays in it: one addition per value. */
function areFinite(values: Float32Array): boolean {
  // Read once: V8 else looks in each round whether the array's memory is still there.
  const { length } = values
  let sum = 0
  for (let i = 0; i < length; i++) sum += values[i] ?? 0
  return Number.isFinite(sum)
}
