import type { ModelFault } from '../core/model-trial.ts'
import type { FailureCode } from '../core/vision-protocol.ts'

/** Says what kind of trouble a model makes, from what its process said or left behind. */

/** What ONNX Runtime, V8, Node and the C++ library say when there is no more memory. */
const outOfMemory =
  /failed to allocate memory|out of memory|bad_alloc|array buffer allocation failed|cannot allocate memory|ENOMEM/i

const maxLine = 300

/** The fault behind a failure that was reported. */
export function faultOfFailure(code: FailureCode, message: string): ModelFault {
  if (outOfMemory.test(message)) return 'memory'
  return code === 'vision_failed' ? 'died' : code
}

/** The line that matters in what a dead process has printed, which may be pages of stack: `; it said: ...`, or nothing. */
export function lastWords(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const line = lines.find((one) => outOfMemory.test(one)) ?? lines.at(-1)
  return line === undefined ? '' : `; it said: ${line.trim().slice(0, maxLine)}`
}

/** The fault behind the end of a process that printed `output` and reported nothing. */
export function faultOfDeath(output: string): ModelFault {
  return outOfMemory.test(output) ? 'memory' : 'died'
}
