import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { inputSize, modelManifestSchema } from '../../../src/core/model-manifest.ts'
import { formatSchemaIssue, schemaIssues } from '../../../src/lib/schema-issues.ts'
import { rawDetectionManifest as raw } from '../../support/models.ts'

const [boxes, logits] = raw.outputs
const quantized = { ...raw.input, type: 'int8', mean: [0, 0, 0], std: [1, 1, 1], scale: 0.1, zeroPoint: -3 }
const classification = {
  ...raw,
  task: 'classification',
  outputs: [{ name: 'logits', shape: [1, 3], type: 'float32' }],
  decode: { scores: 'logits', activation: 'softmax', top: 5 },
}

/** The messages for a manifest as it would stand in a file. */
function messagesFor(manifest: unknown): string[] {
  const { issues } = v.safeParse(modelManifestSchema, JSON.parse(JSON.stringify(manifest)))
  return schemaIssues(issues ?? []).map(formatSchemaIssue)
}

describe('modelManifestSchema', () => {
  test.each([
    ['a detector', raw],
    ['a classifier', classification],
    ['a quantized input', { ...raw, input: quantized }],
    ['a quantized output', { ...raw, outputs: [boxes, { ...logits, type: 'uint8', scale: 0.1, zeroPoint: 128 }] }],
    ['a share of the crop', { ...raw, input: { ...raw.input, resize: 'crop', cropFraction: 0.875 } }],
    ['planes instead of pixels', { ...raw, input: { ...raw.input, layout: 'NCHW', shape: [1, 3, 4, 4] } }],
  ])('accepts %s', (_, manifest) => {
    expect(messagesFor(manifest)).toEqual([])
  })

  test.each([
    ['an unknown field', { colour: 'red' }, /^colour: unknown key/],
    ['a missing field', { licence: undefined }, /^licence: missing$/],
    ['another format', { format: 2 }, /^format: found 2, has to be 1$/],
    ['another task', { task: 'segmentation' }, /^task: found "segmentation"/],
    ['a name that is no folder name', { name: 'My Model' }, /^name: .*lower-case letters/],
    ['a file outside its folder', { model: '../model.onnx' }, /^model: .*a file name/],
    ['a file with an absolute path', { model: '/etc/passwd' }, /^model: .*a file name/],
    ['a file two folders down', { model: 'a/b/c.onnx' }, /^model: .*a file name/],
    ['a hidden file', { model: '.model.onnx' }, /^model: .*a file name/],
    ['a file that is not listed', { model: 'other.onnx' }, /files: does not list other\.onnx/],
    ['a golden file that is not listed', { golden: [{ input: 'x.gz', expect: [] }] }, /files: does not list x\.gz/],
    ['a digest of the wrong length', { files: { 'model.onnx': { bytes: 1, sha256: 'ab' } } }, /64 lower-case hex/],
    ['an empty file', { files: { 'model.onnx': { bytes: 0, sha256: '0'.repeat(64) } } }, /bytes: .*at least 1/],
    ['more than one picture at once', { input: { ...raw.input, shape: [2, 4, 4, 3] } }, /^input\.shape\[0\]/],
    ['four colours', { input: { ...raw.input, shape: [1, 4, 4, 4] } }, /three colour channels/],
    ['a layout that the shape is not in', { input: { ...raw.input, layout: 'NCHW' } }, /three colour channels/],
    ['no mean where it is needed', { input: { ...raw.input, type: 'float32' } }, /mean and std/],
    ['a std of 0', { input: { ...quantized, std: [1, 0, 1] } }, /above 0/],
    ['no scale where it is needed', { input: { ...quantized, scale: undefined } }, /scale and zeroPoint/],
    ['a scale of 0', { input: { ...quantized, scale: 0 } }, /above 0/],
    ['an output without its scale', { outputs: [boxes, { ...logits, type: 'int8' }] }, /scale and zeroPoint/],
    ['no output', { outputs: [] }, /^outputs: /],
    ['scores that no output has', { decode: { ...raw.decode, scores: 'x' } }, /decode\.scores: no output is named x/],
    ['boxes that no output has', { decode: { ...raw.decode, boxes: 'x' } }, /decode\.boxes: no output is named x/],
    ['too few labels', { labels: ['cat'] }, /labels: 1 names for the 3 classes of output logits/],
    ['boxes of another shape', { outputs: [{ ...boxes, shape: [1, 3, 5] }, logits] }, /boxes has to be \[1, N, 4\]/],
    [
      'more boxes than scores',
      { outputs: [{ ...boxes, shape: [1, 9, 4] }, logits] },
      /logits has to be \[1, 9, classes\]/,
    ],
    ['a threshold above 1', { threshold: 1.5 }, /^threshold: found 1\.5, has to be at most 1$/],
    ['1001 detections', { decode: { ...raw.decode, maxDetections: 1001 } }, /maxDetections: .*at most 1000/],
  ])('refuses %s', (_, change, message) => {
    expect(messagesFor({ ...raw, ...change })).toContainEqual(expect.stringMatching(message))
  })

  test("refuses a classifier's scores that are one for each box", () => {
    const outputs = [{ name: 'logits', shape: [1, 3, 3], type: 'float32' }]
    expect(messagesFor({ ...classification, outputs })).toEqual([
      expect.stringContaining('outputs: logits has to be [1, classes]'),
    ])
  })
})

test.each([
  { layout: 'NHWC', shape: [1, 240, 320, 3] },
  { layout: 'NCHW', shape: [1, 3, 240, 320] },
])('the input of $layout $shape is 320 wide and 240 high', ({ layout, shape }) => {
  const { input } = v.parse(modelManifestSchema, { ...raw, input: { ...raw.input, layout, shape } })
  expect(inputSize(input)).toEqual({ width: 320, height: 240 })
})
