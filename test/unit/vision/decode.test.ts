import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { modelManifestSchema } from '../../../src/core/model-manifest.ts'
import { createDecoder, suppressOverlaps } from '../../../src/vision/decode.ts'
import { detectionManifest, rawDetectionManifest } from '../../support/models.ts'

const logit = (score: number) => Math.log(score / (1 - score))
const box = (xmin: number, ymin: number, xmax: number, ymax: number) => ({ xmin, ymin, xmax, ymax })

describe('detection', () => {
  const decode = createDecoder(detectionManifest())
  const boxes = new Float32Array([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 1, 1, 0, 0, 1, 1])

  test('reports scores from the threshold on, best first, with named corners, and never the background', () => {
    const logits = new Float32Array([9, logit(0.6), -9, 9, -9, logit(0.9), 9, logit(0.4), -9])
    const finding = decode({ boxes, logits }, 0.5)
    expect(finding).toEqual({
      task: 'detection',
      detections: [
        { label: 'dog', classId: 2, score: expect.closeTo(0.9, 5), box: box(0.5, 0.5, 1, 1) },
        {
          label: 'cat',
          classId: 1,
          score: expect.closeTo(0.6, 5),
          box: box(expect.closeTo(0.2, 5), expect.closeTo(0.1, 5), expect.closeTo(0.4, 5), expect.closeTo(0.3, 5)),
        },
      ],
    })
  })

  test('a score of NaN or infinity is no find and not passed over, wherever it is', () => {
    const anywhere = fc.record({ at: fc.nat({ max: 8 }), wrong: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY) })
    fc.assert(
      fc.property(anywhere, fc.double({ min: 0, max: 1, noNaN: true }), ({ at, wrong }, threshold) => {
        const logits = new Float32Array(9).fill(-1).with(at, wrong)
        expect(() => decode({ boxes, logits }, threshold)).toThrow(
          expect.objectContaining({
            code: 'bad_output',
            message: "the model's output logits has NaN or infinity in it",
          }),
        )
      }),
    )
  })

  test('minus infinity is a score of 0', () => {
    const logits = new Float32Array(9).fill(Number.NEGATIVE_INFINITY)
    expect(decode({ boxes, logits }, 0.01)).toEqual({ task: 'detection', detections: [] })
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('nor is a corner of %s', (wrong) => {
    const logits = new Float32Array(9).fill(-9).with(4, 9)
    expect(decode({ boxes: boxes.with(0, wrong), logits }, 0.5)).toMatchObject({ detections: [{ label: 'cat' }] })
    expect(() => decode({ boxes: boxes.with(6, wrong), logits }, 0.5)).toThrow(
      expect.objectContaining({ code: 'bad_output', message: "the model's output boxes has NaN or infinity in it" }),
    )
  })

  test('comparing logits finds what comparing scores would', () => {
    const spread = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 9, maxLength: 9 })
    fc.assert(
      fc.property(spread, fc.double({ min: 0, max: 1, noNaN: true }), (values, threshold) => {
        const logits = Float32Array.from(values)
        const far = new Float32Array([0, 0, 0.1, 0.1, 0.4, 0.4, 0.5, 0.5, 0.8, 0.8, 0.9, 0.9])
        const expected = [...logits].filter((value, i) => i % 3 !== 0 && 1 / (1 + Math.exp(-value)) >= threshold).length
        const finding = decode({ boxes: far, logits }, threshold)
        expect(finding.task === 'detection' && finding.detections.length).toBe(expected)
      }),
    )
  })

  test('quantized outputs are read through their scale and zero point', () => {
    const quantized = detectionManifest({
      outputs: [
        { name: 'boxes', shape: [1, 3, 4], type: 'uint8', scale: 0.01, zeroPoint: 0 },
        { name: 'logits', shape: [1, 3, 3], type: 'int8', scale: 0.1, zeroPoint: -100 },
      ],
    })
    const finding = createDecoder(quantized)(
      {
        boxes: new Uint8Array(12).fill(50),
        logits: new Int8Array([-128, -90, -128, -128, -128, -128, -128, -128, -128]),
      },
      0.5,
    )
    // (-90 + 100) * 0.1 = 1, sigmoid(1) = 0.731
    expect(finding).toMatchObject({
      detections: [{ label: 'cat', score: expect.closeTo(0.731, 3), box: box(0.5, 0.5, 0.5, 0.5) }],
    })
  })
})

describe('suppressOverlaps', () => {
  const find = (classId: number, score: number, at: ReturnType<typeof box>) => ({
    label: `c${classId}`,
    classId,
    score,
    box: at,
  })

  test('keeps the best of a class where boxes overlap, and other classes beside it', () => {
    const best = find(1, 0.9, box(0, 0, 1, 1))
    const other = find(2, 0.7, box(0, 0, 1, 1))
    const apart = find(1, 0.6, box(0, 0, 0.4, 0.4))
    expect(suppressOverlaps([find(1, 0.8, box(0, 0, 1, 0.9)), apart, best, other], 0.6, 10)).toEqual([
      best,
      other,
      apart,
    ])
  })

  test('keeps at most maxDetections, the best', () => {
    const finds = [0.5, 0.9, 0.7].map((score, i) => find(i, score, box(0, 0, 1, 1)))
    expect(suppressOverlaps(finds, 0.5, 2).map(({ score }) => score)).toEqual([0.9, 0.7])
  })
})

describe('classification', () => {
  const manifest = (output: object, decode: object) =>
    v.parse(modelManifestSchema, {
      ...rawDetectionManifest,
      task: 'classification',
      outputs: [{ name: 'out', shape: [1, 3], ...output }],
      decode: { scores: 'out', top: 2, ...decode },
    })

  test('logits become probabilities by softmax; the top classes with a name are reported', () => {
    const decode = createDecoder(manifest({ type: 'float32' }, { activation: 'softmax' }))
    expect(decode({ out: new Float32Array([5, 1, 3]) }, 0)).toEqual({
      task: 'classification',
      predictions: [
        { label: 'dog', classId: 2, score: expect.closeTo(Math.exp(3) / (Math.exp(5) + Math.exp(1) + Math.exp(3)), 6) },
        { label: 'cat', classId: 1, score: expect.closeTo(Math.exp(1) / (Math.exp(5) + Math.exp(1) + Math.exp(3)), 6) },
      ],
    })
  })

  test('a score of NaN or infinity is not passed over', () => {
    const decode = createDecoder(manifest({ type: 'float32' }, { activation: 'softmax' }))
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => decode({ out: new Float32Array([5, wrong, 3]) }, 0.5)).toThrow(
        "the model's output out has NaN or infinity in it",
      )
  })

  test('quantized probabilities are taken as they are', () => {
    const decode = createDecoder(manifest({ type: 'uint8', scale: 1 / 256, zeroPoint: 0 }, { activation: 'none' }))
    expect(decode({ out: new Uint8Array([1, 192, 63]) }, 0.25)).toEqual({
      task: 'classification',
      predictions: [{ label: 'cat', classId: 1, score: 0.75 }],
    })
  })
})
