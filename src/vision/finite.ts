import { SightdError } from '../core/errors.ts'
import type { TensorData } from './input-tensor.ts'

/** Throws a SightdError `bad_output` that names the first output with NaN or infinity in it. */
export function checkFinite(outputs: { readonly [name: string]: TensorData }): void {
  for (const name of Object.keys(outputs)) {
    const values = outputs[name]
    if (values instanceof Float32Array && !areFinite(values)) throw notFinite(name)
  }
}

export function notFinite(output: string): SightdError {
  return new SightdError('bad_output', `the model's output ${output} has NaN or infinity in it`)
}

/**
 * A sum of float32 values in float64 can't overflow, and each NaN or infinity stays in it: one addition per value. Four sums,
 * since an addition waits for the one before it.
 */
function areFinite(values: Float32Array): boolean {
  // Read once: V8 else looks in each round whether the array's memory is still there.
  const { length } = values
  const rest = length % 4
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = 0; i < rest; i++) a += values[i] ?? 0
  for (let i = rest; i < length; i += 4) {
    a += values[i] ?? 0
    b += values[i + 1] ?? 0
    c += values[i + 2] ?? 0
    d += values[i + 3] ?? 0
  }
  return Number.isFinite(a + b + c + d)
}
