import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { VisionReport } from '../../src/core/vision-protocol.ts'
import { bundledModel } from '../../src/daemon.ts'
import { VisionProcess } from '../../src/pipeline/vision-process.ts'
import { undefinedModel } from '../support/onnx.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { demoPhotos, everyFrame, trusted } from '../support/vision.ts'

test('a vision process whose model fails ends by itself, also with a second model in it', async () => {
  const path = join(await tempFolder(), 'photos')
  const reports: VisionReport[] = []
  const vision = new VisionProcess({
    entry: new URL('../../src/vision/main.ts', import.meta.url),
    workDir: await tempFolder(),
    maxMemoryMb: 512,
    onReport: (report) => reports.push(report),
  })
  onTestFinished(() => vision.kill())
  const has = (type: VisionReport['type']) =>
    expect.poll(() => reports.some((report) => report.type === type), { timeout: 10_000 }).toBe(true)
  vision.send({
    type: 'start',
    model: trusted(await undefinedModel()),
    threads: 1,
    source: { source: 'replay', path, width: 320, height: 240, fps: 30 },
    tuning: everyFrame,
  })
  await has('ready')
  vision.send({ type: 'candidate', candidateId: 1, model: trusted(bundledModel), threads: 1 })
  await has('candidate')
  // Only now are there frames for the model to fail on.
  await cp(demoPhotos, path, { recursive: true })
  expect(await vision.exited).toEqual({ code: 0, signal: null, output: '' })
  expect(reports.at(-1)).toEqual({
    type: 'failed',
    code: 'bad_output',
    message: "the model's output scores has NaN or infinity in it",
  })
})
