import { describe, expect, test } from 'vitest'
import { Admission, type AdmissionOptions } from '../../../src/vision/admission.ts'
import { draw, type Look } from './luma.ts'

const geometry = { width: 64, height: 48, stride: 64 }
const all: AdmissionOptions = { isPaused: false, maxFps: null, motion: null }
const gated: AdmissionOptions = { ...all, motion: { sensitivity: 'high', idle_s: 1e6 } }

const grey: Look = { level: () => 100, sigma: 1 }
const bars: Look = { level: (x) => (x % 16) * 16 }
const frame = (look: Look, isStale = false) => ({
  capturedAtMs: 0,
  geometry,
  data: draw(look, geometry),
  isStale,
})

/** How often each verdict is given on so many frames at that rate, from `fromMs` on. */
function verdicts(admission: Admission, { count, fps, fromMs = 0 }: { count: number; fps: number; fromMs?: number }) {
  const given = { infer: 0, skip: 0, still: 0 }
  for (let i = 0; i < count; i++) given[admission.judge(frame(grey), fromMs + (i * 1000) / fps)]++
  return given
}

/** One that has seen enough of a grey scene to take it for still, up to 10 s. */
function settled(options = gated): Admission {
  const admission = new Admission(options)
  verdicts(admission, { count: 101, fps: 10 })
  expect(admission.judge(frame(grey), 10_100)).toBe('still')
  return admission
}

describe('Admission', () => {
  test('without limits every frame is for the model, except a stale one', () => {
    const admission = new Admission(all)
    expect(verdicts(admission, { count: 30, fps: 30 })).toEqual({ infer: 30, skip: 0, still: 0 })
    expect(admission.judge(frame(grey, true), 2000)).toBe('skip')
  })

  test('a camera at 30 fps limited to 10 gives 10', () => {
    expect(verdicts(new Admission({ ...all, maxFps: 10 }), { count: 300, fps: 30 })).toMatchObject({ infer: 100 })
  })

  test('a new rate holds at once, also after a very slow one', () => {
    const admission = new Admission({ ...all, maxFps: 0.01 })
    expect(verdicts(admission, { count: 100, fps: 10 })).toMatchObject({ infer: 1 })
    admission.tune({ ...all, maxFps: 5 }, 10_000)
    expect(verdicts(admission, { count: 100, fps: 10, fromMs: 10_000 }).infer).toBeGreaterThanOrEqual(49)
    admission.tune(all, 20_000)
    expect(verdicts(admission, { count: 100, fps: 10, fromMs: 20_000 })).toMatchObject({ infer: 100 })
  })

  test('paused, nothing is for the model', () => {
    const admission = new Admission({ ...all, isPaused: true })
    expect(verdicts(admission, { count: 30, fps: 30 })).toEqual({ infer: 0, skip: 30, still: 0 })
    admission.tune(all, 1000)
    expect(admission.judge(frame(grey), 1000)).toBe('infer')
  })

  test('with a gate a still frame is left out as still, a moving one is not', () => {
    expect(settled().judge(frame(bars), 10_200)).toBe('infer')
  })

  test('frames that are skipped anyway leave no trace in the gate', () => {
    const admission = settled()
    expect(admission.judge(frame(bars, true), 10_200)).toBe('skip')
    expect(admission.judge(frame(grey), 10_300)).toBe('still')
    admission.tune({ ...gated, isPaused: true }, 10_400)
    expect(admission.judge(frame(bars), 10_400)).toBe('skip')
    admission.tune(gated, 10_500)
    expect(admission.judge(frame(grey), 10_500)).toBe('still')
    const limited = settled({ ...gated, maxFps: 5 })
    limited.judge(frame(bars), 10_200)
    expect(limited.judge(frame(grey), 10_250)).toBe('skip')
  })

  test('a still frame does not count against the rate', () => {
    const admission = settled({ ...gated, maxFps: 1 })
    expect(admission.judge(frame(grey), 11_000)).toBe('still')
    expect(admission.judge(frame(bars), 11_100)).toBe('infer')
    expect(admission.judge(frame(bars), 11_200)).toBe('skip')
  })

  test('a gate that is tuned remembers its scene; one that is taken away does not', () => {
    const admission = settled()
    admission.tune({ ...all, motion: { sensitivity: 'low', idle_s: 1e6 } }, 10_200)
    expect(admission.judge(frame(grey), 10_200)).toBe('still')
    admission.tune(all, 10_300)
    expect(admission.judge(frame(grey), 10_300)).toBe('infer')
    admission.tune(gated, 10_400)
    expect(admission.judge(frame(grey), 10_400)).toBe('infer')
  })
})
