import { describe, expect, test } from 'vitest'
import { openPrecision } from '../../src/cli/bench/precision.ts'
import { runSightd } from '../support/daemon.ts'

describe('sightd bench', () => {
  test('measures every number of threads that is asked for', async () => {
    const { code, stdout } = await runSightd(['bench', '--seconds', '1', '--threads', '1,2', '--json'])
    expect(code).toBe(0)
    const { model, settings, ...device } = JSON.parse(stdout)
    expect(model).toEqual({ name: 'ssdlite-mobilenet-v2-coco', version: '1' })
    expect(device).toMatchObject({
      arch: process.arch,
      node: process.versions.node,
      frame: { width: 640, height: 480 },
    })
    expect(settings.map(({ threads }: { threads: number }) => threads)).toEqual([1, 2])
    for (const { frames, fps, ms, memory_mb, cpu_s_per_1000_frames } of settings) {
      expect(frames).toBeGreaterThan(0)
      for (const figure of [fps, memory_mb, cpu_s_per_1000_frames]) expect(figure).toBeGreaterThan(0)
      expect(Object.keys(ms)).toEqual(['preprocess', 'inference', 'decode', 'handover', 'total'])
      expect(ms.total.p50).toBeGreaterThan(ms.inference.p50)
      expect(ms.total.p99).toBeGreaterThanOrEqual(ms.total.p50)
    }
  })

  test('prints a table', async () => {
    const { code, stdout, stderr } = await runSightd(['bench', '--seconds', '1'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\| +1 \| inference +\|/m)
    expect(stdout).toMatch(/^\| threads \| +fps \|/m)
    expect(stderr).toBe('')
  })

  test.each([
    [['--threads', '1,x'], 2, 'whole numbers from 1 to 64'],
    [['--threads', ''], 2, 'whole numbers from 1 to 64'],
    [['--seconds', '0'], 2, 'whole number, at least 1'],
    [['--model', '/nowhere'], 1, "/nowhere/manifest.json: can't be read"],
  ])('%j ends with %d and says what is wrong', async (args, expected, message) => {
    const { code, stdout, stderr } = await runSightd(['bench', '--seconds', '1', ...args])
    expect([code, stdout]).toEqual([expected, ''])
    expect(stderr).toContain(message)
  })
})

test('the two networks that are compared compute the same', async () => {
  await using int8 = await openPrecision('int8', 1)
  await using float32 = await openPrecision('float32', 1)
  const [{ scores: quantized = [] }, { scores: exact = [] }] = [await int8.run(), await float32.run()]
  expect(exact).toHaveLength(128)
  expect(Math.max(...exact)).toBeGreaterThan(0.1)
  const largest = Math.max(...Array.from(exact, (value, i) => Math.abs(value - (quantized[i] ?? 0))))
  expect(largest).toBeLessThan(0.02)
})
