import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ModelFailure } from '../../../src/core/model-trial.ts'
import type { VisionCommand } from '../../../src/core/vision-protocol.ts'
import { SpareControl } from '../../../src/pipeline/spare-control.ts'
import { model } from './reports.ts'

const source = { dir: '/m', manifestSha256: null }
const other = { ...model, version: '2' }
const failed = (candidateId: number, message = 'no good', code: 'model_invalid' | 'bad_output' = 'model_invalid') =>
  ({ type: 'candidate', state: 'failed', candidateId, code, message }) as const
const ready = (candidateId: number) =>
  ({ type: 'candidate', state: 'ready', candidateId, model: other, loadMs: 1 }) as const
const shadow = { type: 'shadow', agreement: 1, activeMs: 1, candidateMs: 1 } as const
const swapped = { type: 'swapped', model: other } as const

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  // Whatever happened, nothing is left running.
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

function control() {
  const sent: VisionCommand[] = []
  const hangs: string[] = []
  const failures: ModelFailure[] = []
  const spare = new SpareControl({
    send: (command) => sent.push(command),
    onHang: (reason) => hangs.push(reason),
    onCandidateDown: (failure) => failures.push(failure),
  })
  return { spare, sent, hangs, failures }
}

async function loaded() {
  const parts = control()
  const loading = parts.spare.load(source, 2)
  expect(parts.spare.note(ready(1))).toBe(true)
  await loading
  return parts
}

describe('loading a candidate', () => {
  test('is asked for, and answered', async () => {
    const { spare, sent } = control()
    const loading = spare.load(source, 2)
    expect(sent).toEqual([{ type: 'candidate', candidateId: 1, model: source, threads: 2 }])
    spare.note(ready(1))
    expect(await loading).toEqual(other)
  })

  test.each([
    ['model_invalid', '/m/manifest.json: not JSON', 'model_invalid'],
    ['model_invalid', 'Failed to allocate memory for requested buffer of size 9', 'vision_failed'],
    ['vision_failed', 'the inference thread died', 'vision_failed'],
  ] as const)('fails with %s: %s', async (code, message, rejected) => {
    const { spare, failures } = control()
    const loading = spare.load(source, 2)
    spare.note({ type: 'candidate', state: 'failed', candidateId: 1, code, message })
    await expect(loading).rejects.toThrow(expect.objectContaining({ code: rejected, message }))
    // Whoever asked knows it already.
    expect(failures).toEqual([])
  })

  test('is refused while another one is there, or is loaded', async () => {
    const { spare, sent } = control()
    const first = spare.load(source, 2)
    await expect(spare.load(source, 2)).rejects.toThrow('a second model is there already')
    spare.note(ready(1))
    await first
    await expect(spare.load(source, 2)).rejects.toThrow('a second model is there already')
    expect(sent).toHaveLength(1)
  })

  test('that takes more than a minute costs the process', async () => {
    const { spare, hangs } = control()
    const loading = spare.load(source, 2)
    vi.advanceTimersByTime(59_999)
    expect(hangs).toEqual([])
    vi.advanceTimersByTime(1)
    const reason = 'loading the candidate took more than 60 s, killed'
    await expect(loading).rejects.toThrow(reason)
    expect(hangs).toEqual([reason])
  })

  test('ends with the process, and when the candidate is let go', async () => {
    const { spare, sent } = control()
    const first = spare.load(source, 2)
    spare.end('the vision process is down')
    await expect(first).rejects.toThrow('the vision process is down')
    const second = spare.load(source, 2)
    spare.release()
    await expect(second).rejects.toThrow('the second model was let go')
    expect(sent.map(({ type }) => type)).toEqual(['candidate', 'candidate', 'release'])
  })
})

describe('reports', () => {
  test('on a candidate that was let go are no news, also when another is being loaded', async () => {
    const { spare, failures } = control()
    const first = spare.load(source, 2)
    spare.release()
    await expect(first).rejects.toThrow()
    expect(spare.note(ready(1))).toBe(false)
    const second = spare.load(source, 2)
    expect(spare.note(failed(1))).toBe(false)
    expect(spare.note(ready(1))).toBe(false)
    expect(spare.note(shadow)).toBe(false)
    spare.note(ready(2))
    await second
    expect(spare.note(shadow)).toBe(true)
    expect(spare.note(failed(1))).toBe(false)
    expect(failures).toEqual([])
  })

  test('of a candidate that failed while it looked on are told once, with the fault', async () => {
    const { spare, failures } = await loaded()
    const message = "the model's output scores has NaN or infinity in it"
    expect(spare.note(failed(1, message, 'bad_output'))).toBe(true)
    expect(failures).toEqual([{ fault: 'bad_output', message }])
    expect(spare.note(failed(1))).toBe(false)
    await expect(spare.swap()).rejects.toThrow('there is no second model to swap to')
  })
})

describe('a swap', () => {
  test('is asked for and answered, and so is the way back', async () => {
    const { spare, sent } = await loaded()
    for (const report of [swapped, { ...swapped, model }]) {
      const swapping = spare.swap()
      await expect(spare.swap()).rejects.toThrow('the models are being swapped already')
      spare.note(report)
      expect(await swapping).toEqual(report.model)
    }
    expect(sent.map(({ type }) => type)).toEqual(['candidate', 'swap', 'swap'])
  })

  test.each([
    ['the candidate fails', (spare: SpareControl) => void spare.note(failed(1)), 'no good'],
    ['the process goes', (spare: SpareControl) => spare.end('the vision process is down'), 'process is down'],
    ['it takes too long', () => void vi.advanceTimersByTime(60_000), 'swapping the models took more than 60 s, killed'],
    ['it is let go', (spare: SpareControl) => spare.release(), 'was let go'],
  ])('fails when %s', async (_, happens, message) => {
    const { spare } = await loaded()
    const swapping = spare.swap()
    happens(spare)
    await expect(swapping).rejects.toThrow(expect.objectContaining({ code: 'vision_failed' }))
    await expect(swapping).rejects.toThrow(message)
    await expect(spare.swap()).rejects.toThrow('there is no second model')
  })

  test('is impossible without a loaded model', async () => {
    const { spare } = control()
    await expect(spare.swap()).rejects.toThrow('there is no second model to swap to')
    const loading = spare.load(source, 1)
    await expect(spare.swap()).rejects.toThrow('there is no second model to swap to')
    spare.release()
    await expect(loading).rejects.toThrow()
  })
})
