import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkFinite } from '../../../src/vision/finite.ts'

const largest = 3.4028234663852886e38

describe('checkFinite', () => {
  test.each([
    ['nothing', {}],
    ['no values', { scores: new Float32Array(0) }],
    ['the largest values there are, many of them', { scores: new Float32Array(200_000).fill(largest) }],
    ['the largest values of either sign', { scores: Float32Array.of(largest, -largest, largest) }],
    ['whole numbers', { scores: Uint8Array.of(0, 255), boxes: Int8Array.of(-128, 127) }],
  ])('lets %s pass', (_, outputs) => {
    expect(() => checkFinite(outputs)).not.toThrow()
  })

  test.each([
    ['NaN', [Number.NaN]],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['minus infinity', [Number.NEGATIVE_INFINITY]],
    ['infinities that cancel each other out', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ])('finds %s wherever it is, and names the output', (_, wrong) => {
    const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 50 })
    fc.assert(
      fc.property(values, values, (before, after) => {
        const outputs = { boxes: Float32Array.of(1), scores: Float32Array.from([...before, ...wrong, ...after]) }
        expect(() => checkFinite(outputs)).toThrow(
          expect.objectContaining({
            code: 'bad_output',
            message: "the model's output scores has NaN or infinity in it",
          }),
        )
      }),
    )
  })
})
