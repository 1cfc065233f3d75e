import { describe, expect, test } from 'vitest'
import { faultOfDeath, faultOfFailure, lastWords } from '../../../src/pipeline/model-fault.ts'

/** As they were said under RLIMIT_DATA, by ONNX Runtime 1.30 and Node 24. */
const wantsOfMemory = [
  'the model failed while it ran: Non-zero status code returned while running Add node. Status Message: ' +
    'bfc_arena.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 4294967296',
  'FATAL ERROR: Committing semi space failed. Allocation failed - JavaScript heap out of memory',
  "terminate called after throwing an instance of 'std::bad_alloc'",
  'RangeError: Array buffer allocation failed',
  'RangeError: WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance',
  "/m/model.onnx: can't be read: ENOMEM: not enough memory, read",
  'mmap: Cannot allocate memory',
]

describe('the fault of a model', () => {
  test.each(wantsOfMemory)('is memory, whoever says so: %s', (message) => {
    expect(faultOfFailure('model_invalid', message)).toBe('memory')
    expect(faultOfFailure('vision_failed', message)).toBe('memory')
    expect(faultOfDeath(message)).toBe('memory')
  })

  test('is what was reported', () => {
    expect(faultOfFailure('model_invalid', '/m/manifest.json: not JSON')).toBe('model_invalid')
    expect(faultOfFailure('bad_output', "the model's output scores has NaN or infinity in it")).toBe('bad_output')
    expect(faultOfFailure('vision_failed', 'the inference thread died')).toBe('died')
  })

  test.each([
    ['nothing', '', ''],
    ['the last line', 'one\ntwo  \n\n', '; it said: two'],
    [
      'the line on memory',
      'GCs\nFATAL ERROR: JavaScript heap out of memory\n 1: 0x93',
      '; it said: FATAL ERROR: JavaScript heap out of memory',
    ],
    ['no more than a line', 'x'.repeat(2000), `; it said: ${'x'.repeat(300)}`],
  ])('comes with %s of what it printed', (_, output, words) => {
    expect(lastWords(output)).toBe(words)
  })

  test('is that it died, where nothing else is known', () => {
    expect(faultOfDeath('')).toBe('died')
    expect(faultOfDeath('Segmentation fault')).toBe('died')
  })
})
