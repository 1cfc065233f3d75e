import { existsSync, readdirSync, truncateSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { message } from '../../src/lib/protobuf-writer.ts'
import { node, tensorInfo } from '../../src/vision/onnx-writer.ts'
import { runSightd } from '../support/daemon.ts'
import { copyOfBundledModel, editManifest, replaceListedFile } from '../support/models.ts'
import { tempFolder } from '../support/temp-folder.ts'

const photos = fileURLToPath(new URL('../../../shared/data/images', import.meta.url))
const demo = fileURLToPath(new URL('../../deploy/demo', import.meta.url))

describe('sightd infer', () => {
  test.skipIf(!existsSync(photos))(
    'finds cat, bird, dog and hot dog in the photos of ../shared/data/images',
    async () => {
      const names = ['cat_720p.jpg', 'parrot.jpg', 'pets.jpg', 'hot_dog.jpg']
      const { code, stdout } = await runSightd(['infer', '--json', ...names.map((name) => join(photos, name))])
      expect(code).toBe(0)
      const best = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).detections[0])
      expect(best.map(({ label }) => label)).toEqual(['cat', 'bird', 'dog', 'hot dog'])
      for (const { score } of best) expect(score).toBeGreaterThanOrEqual(0.5)
    },
  )

  test('draws what it found into a copy', async () => {
    const folder = join(await tempFolder(), 'out')
    const { code, stdout } = await runSightd(['infer', join(demo, '1-chelsea.jpg'), '--annotate', folder])
    expect(code).toBe(0)
    expect(stdout).toMatch(/1-chelsea\.jpg: cat 0\.\d{3}/)
    expect(existsSync(join(folder, '1-chelsea.jpg'))).toBe(true)
  })

  test('a file that is no picture fails alone, by name; the others are still done', async () => {
    const { code, stdout, stderr } = await runSightd(['infer', join(demo, 'README.md'), join(demo, '1-chelsea.jpg')])
    expect(code).toBe(1)
    expect(stderr).toContain(`${join(demo, 'README.md')}: can't be read as a picture`)
    expect(stdout).toContain('cat')
  })
})

test('ONNX Runtime reports to nobody: its telemetry leaves no trace in the folder for temporary files', async () => {
  const folder = await tempFolder()
  vi.stubEnv('TMPDIR', folder)
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  expect((await runSightd(['infer', join(demo, '1-chelsea.jpg')])).code).toBe(0)
  expect((await runSightd(['model', 'verify', bundledModel])).code).toBe(0)
  expect(readdirSync(folder)).toEqual([])
})

/** It has the bundled model's inputs and outputs, but nothing computes them. */
const senselessNetwork = message(
  [1, 8],
  [
    7,
    message(
      [1, node('Relu', ['nobody'], ['boxes'])],
      [1, node('Relu', ['nobody'], ['logits'])],
      [2, 'senseless'],
      [11, tensorInfo('image', 'uint8', [1, 300, 300, 3])],
      [12, tensorInfo('boxes', 'float', [1, 1917, 4])],
      [12, tensorInfo('logits', 'float', [1, 1917, 91])],
    ),
  ],
  [8, message([2, 17])],
)

describe('sightd model', () => {
  test('list names the bundled model', async () => {
    const { code, stdout } = await runSightd(['model', 'list', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toContainEqual(
      expect.objectContaining({ name: 'ssdlite-mobilenet-v2-coco', problem: null }),
    )
  })

  test('inspect says what the network is made of', async () => {
    const { code, stdout } = await runSightd(['model', 'inspect', bundledModel])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^network +496 nodes \(251 DequantizeLinear, .*\), 4594811 parameters, opset ai\.onnx 13$/m)
    const { stdout: json } = await runSightd(['model', 'inspect', bundledModel, '--json'])
    expect(JSON.parse(json)).toMatchObject({ scan: { nodes: 496, opsets: { 'ai.onnx': 13 } } })
  })

  test('verify runs the golden samples of the bundled model on this CPU', async () => {
    const { code, stdout } = await runSightd(['model', 'verify', bundledModel, '--json'])
    expect(code).toBe(0)
    const report = JSON.parse(stdout)
    expect(report.ok).toBe(true)
    expect(report.golden.length).toBeGreaterThanOrEqual(2)
  })

  test('verify fails when the model says something else than its maker saw', async () => {
    const folder = await copyOfBundledModel()
    await editManifest(folder, (manifest) => {
      const labels = manifest['labels'] as string[]
      manifest['labels'] = labels.map((label) => (label === 'cat' ? 'dog' : label === 'dog' ? 'cat' : label))
    })
    const { code, stdout } = await runSightd(['model', 'verify', folder])
    expect(code).toBe(1)
    expect(stdout).toMatch(/FAILED {2}golden\/cat\.rgb\.gz: expected cat 0\.\d+, found dog/)
  })

  test.each([
    [
      'a truncated network',
      (folder: string) => truncateSync(join(folder, 'model.onnx'), 1_000_000),
      /model\.onnx: 1000000 bytes, the manifest says \d+ \(truncated\?\)/,
    ],
    [
      'a changed network',
      (folder: string) => replaceListedFile(folder, 'model.onnx', new Uint8Array(1000).fill(8)),
      /model\.onnx: refused before ONNX Runtime reads it: ir_version: is there twice/,
    ],
    [
      'a network that makes no sense, though nothing in it is suspicious',
      (folder: string) => replaceListedFile(folder, 'model.onnx', senselessNetwork),
      /model\.onnx: ONNX Runtime refuses it: .*nobody/,
    ],
    ['a missing network', (folder: string) => rm(join(folder, 'model.onnx')), /model\.onnx: can't be read: ENOENT/],
    [
      'a missing manifest',
      (folder: string) => rm(join(folder, 'manifest.json')),
      /manifest\.json: can't be read: ENOENT/,
    ],
    [
      'missing labels',
      (folder: string) => editManifest(folder, (manifest) => delete manifest['labels']),
      /manifest\.json: labels: missing/,
    ],
    [
      'too few labels',
      (folder: string) => editManifest(folder, (manifest) => ((manifest['labels'] as string[]).length = 80)),
      /labels: 80 names for the 91 classes of output logits/,
    ],
    [
      'a wrong shape',
      (folder: string) =>
        editManifest(folder, (manifest) => ((manifest['input'] as { shape: number[] }).shape = [1, 320, 320, 3])),
      /model\.onnx: refused before .*: input image is \[1, 300, 300, 3\], the manifest says \[1, 320, 320, 3\]/,
    ],
    [
      'a path out of the folder',
      (folder: string) => editManifest(folder, (manifest) => (manifest['model'] = '../model.onnx')),
      /model: found "\.\.\/model\.onnx", has to be a file name/,
    ],
  ])('%s is refused in words', async (_, spoil, message) => {
    const folder = await copyOfBundledModel()
    await spoil(folder)
    const { code, stderr } = await runSightd(['model', 'verify', folder])
    expect(stderr).toMatch(message)
    expect(code).toBe(1)
  })
})
