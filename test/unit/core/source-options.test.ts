import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { sourceOptionsSchema } from '../../../src/core/source-options.ts'

const accepts = (options: unknown) => v.is(sourceOptionsSchema, options)

describe('sourceOptionsSchema', () => {
  test('asks for a path only', () => {
    expect(v.parse(sourceOptionsSchema, { path: 'photos' })).toEqual({
      source: 'replay',
      path: 'photos',
      width: 640,
      height: 480,
      fps: 10,
    })
  })

  test.each([{ width: 32 }, { width: 4096 }, { height: 32 }, { height: 4096 }, { fps: 0.1 }, { fps: 120 }])(
    'accepts %o, the end of its range',
    (change) => {
      expect(accepts({ path: 'photos', ...change })).toBe(true)
    },
  )

  test.each([
    { path: '' },
    { path: undefined },
    { source: 'webcam' },
    { width: 30 },
    { width: 4098 },
    { width: 641 },
    { height: 481 },
    { height: 480.5 },
    { height: '480' },
    { fps: 0 },
    { fps: 121 },
    { fps: Number.NaN },
    { fpss: 10 },
  ])('refuses %o', (change) => {
    expect(accepts({ path: 'photos', ...change })).toBe(false)
  })
})
