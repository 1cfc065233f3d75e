import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConductRecorder, Probation, type ProbationVerdict } from '../../../src/ota/probation.ts'

const limits = { ms: 600_000, results: 500, slowdown: 1.5 }
const before = { p50Ms: 20, p95Ms: 40, commonest: 0.5, isConnected: true }
const fine = { isThrottled: false, isConnected: true }

type Step = {
  /** Since the one before. */
  readonly gapMs: number
  readonly inferenceMs?: number
  readonly label?: string
  readonly state?: { readonly isThrottled: boolean; readonly isConnected: boolean }
}

/** Results one after the other, until there is a verdict. */
class Device {
  readonly probation: Probation
  results = 0
  nowMs = 5_000_000

  constructor(changes: { limits?: Partial<typeof limits>; before?: Partial<Parameters<typeof make>[0]> } = {}) {
    this.probation = new Probation({ ...limits, ...changes.limits }, make({ ...before, ...changes.before }))
  }

  note({ gapMs, inferenceMs = 20, label, state = fine }: Step): ProbationVerdict | undefined {
    this.nowMs += gapMs
    // Half of them the same.
    const found = label ?? ['person', this.results % 4 === 1 ? 'dog' : 'cat'][this.results % 2] ?? ''
    this.results++
    return this.probation.note({ inferenceMs, label: found }, state, this.nowMs)
  }

  /** The verdict, or undefined after so many results without one. */
  verdict(step: Step, most = 5000): ProbationVerdict | undefined {
    for (let i = 0; i < most; i++) {
      const verdict = this.note(step)
      if (verdict !== undefined) return verdict
    }
    return undefined
  }
}

function make(conduct: { p50Ms: number | null; p95Ms: number | null; commonest: number; isConnected: boolean }) {
  return conduct
}

describe('a model on probation', () => {
  test.each([
    ['fast results: it takes the time', 100, 6001],
    ['slow results: it takes as many as are asked for', 5000, 500],
    ['just both', 1_200, 501],
  ])('that behaves, with %s', (_, gapMs, results) => {
    const device = new Device()
    expect(device.verdict({ gapMs }, 10_000)).toBe('good')
    expect(device.results).toBe(results)
    expect(device.probation.percent).toBe(100)
  })

  test('row 60: neither time nor results count while the board is throttled', () => {
    const device = new Device()
    const throttled = { isThrottled: true, isConnected: true }
    // However bad they look.
    expect(device.verdict({ gapMs: 1000, inferenceMs: 900, label: '', state: throttled })).toBe(undefined)
    expect(device.probation.percent).toBe(0)
    expect(device.verdict({ gapMs: 1200 })).toBe('good')
    expect(device.results).toBe(5000 + 500)
  })

  test('row 60: of the time without a camera next to nothing counts', () => {
    const device = new Device({ limits: { results: 1 } })
    device.note({ gapMs: 0 })
    device.note({ gapMs: 3_600_000 })
    expect(device.probation.percent).toBeCloseTo((100 * 10) / 600)
    device.note({ gapMs: 3_600_000, state: { isThrottled: true, isConnected: true } })
    expect(device.probation.percent).toBeCloseTo((100 * 10) / 600)
  })

  test('a still scene that is looked at each minute proves a model as well', () => {
    const device = new Device({ limits: { results: 50 } })
    expect(device.verdict({ gapMs: 60_000 })).toBe('good')
    expect(device.results).toBe(61)
  })

  test('row 60: whatever comes between, it is good just when there was enough time and there were enough results', () => {
    const step = fc.record({
      gapMs: fc.oneof(fc.nat(3000), fc.constantFrom(0, 10_000, 10_001, 3_600_000)),
      state: fc.record({ isThrottled: fc.boolean(), isConnected: fc.boolean() }),
    })
    const steps = fc.array(step, { minLength: 1, maxLength: 100 })
    const wanted = fc.record({ ms: fc.integer({ min: 1, max: 60_000 }), results: fc.integer({ min: 1, max: 40 }) })
    fc.assert(
      fc.property(steps, wanted, (steps, wanted) => {
        const device = new Device({ limits: wanted, before: { isConnected: false, commonest: 1 } })
        let [ms, results, percent] = [0, 0, 0]
        for (const [i, step] of steps.entries()) {
          if (!step.state.isThrottled) {
            ms += i === 0 ? 0 : Math.min(step.gapMs, 10_000)
            results++
          }
          const isGood = !step.state.isThrottled && ms >= wanted.ms && results >= wanted.results
          expect(device.note(step)).toBe(isGood ? 'good' : undefined)
          expect(device.probation.percent).toBeGreaterThanOrEqual(percent)
          percent = device.probation.percent
          expect(percent === 100).toBe(ms >= wanted.ms && results >= wanted.results)
          if (isGood) return
        }
      }),
    )
  })
})

describe('row 59: a model that takes longer than the one before', () => {
  /** Every tenth run takes that long: the 95th percentile. */
  const tail = (tailMs: number) => (device: Device) => (device.results % 10 === 9 ? tailMs : 20)

  test.each([
    ['not longer', () => 20, undefined],
    ['half as long again', () => 30, undefined],
    ['more than that', () => 30.1, /^half of the runs within 30\.1 ms, 20\.0 ms .*: more than 1\.5 times/],
    ['now and then half as long again', tail(60), undefined],
    ['now and then more than that', tail(60.1), /^95 % of the runs within 60\.1 ms, 40\.0 ms/],
  ])('%s', (_, inferenceMs, reason) => {
    const device = new Device()
    let verdict: ProbationVerdict | undefined
    while (verdict === undefined) verdict = device.note({ gapMs: 1200, inferenceMs: inferenceMs(device) })
    expect(verdict).toEqual(reason === undefined ? 'good' : { code: 'slow', reason: expect.stringMatching(reason) })
    // There is no reason to wait.
    expect(device.results).toBe(reason === undefined ? 501 : 100)
  })

  test('by some milliseconds now and then: that is the board, not the model', () => {
    const quick = { p50Ms: 2, p95Ms: 3 }
    const device = new Device({ before: quick })
    let verdict: ProbationVerdict | undefined
    while (verdict === undefined)
      verdict = device.note({ gapMs: 1200, inferenceMs: device.results % 10 === 9 ? 13 : 2 })
    expect(verdict).toBe('good')
    const other = new Device({ before: quick })
    expect(other.verdict({ gapMs: 1200, inferenceMs: 13.1 })).toMatchObject({ code: 'slow' })
  })

  test.each([
    ['before there are a hundred runs', { results: 99 }, before],
    ['when nobody knows how the one before was', { results: 500 }, { ...before, p50Ms: null, p95Ms: null }],
  ])('%s: nothing is said of it', (_, wanted, before) => {
    const device = new Device({ limits: { ...wanted, ms: 1 }, before })
    expect(device.verdict({ gapMs: 10, inferenceMs: 900 })).toBe('good')
    expect(device.results).toBe(wanted.results)
  })

  test('at last: the newest runs decide', () => {
    const device = new Device({ limits: { ms: 1, results: 5000 } })
    expect(device.verdict({ gapMs: 10 }, 2000)).toBe(undefined)
    expect(device.verdict({ gapMs: 10, inferenceMs: 50 })).toMatchObject({ code: 'slow' })
    expect(device.results).toBeLessThan(3100)
  })
})

describe('row 59: a model that says the same', () => {
  const share = (percent: number) => (device: Device) => (device.results % 100 < percent ? 'cat' : 'dog')

  test.each([
    ['nearly always, and the one before did not', share(99), 0.79, 'constant'],
    ['always', () => 'cat', 0.5, 'constant'],
    ['never anything', () => '', 0.5, 'constant'],
    ['nearly always, as the one before did', share(99), 0.8, 'good'],
    ['often', share(97), 0.1, 'good'],
    ['always, and of the one before nothing is known', () => 'cat', 1, 'good'],
  ])('%s', (_, label, commonest, expected) => {
    const device = new Device({ before: { commonest } })
    let verdict: ProbationVerdict | undefined
    while (verdict === undefined) verdict = device.note({ gapMs: 1200, label: label(device) })
    expect(verdict === 'good' ? verdict : verdict.code).toBe(expected)
    expect(device.results).toBe(501)
  })
})

describe('a broker that was there before', () => {
  const away = { isThrottled: false, isConnected: false }

  test('and was not since: the model is not good', () => {
    expect(new Device().verdict({ gapMs: 1200, state: away })).toMatchObject({ code: 'mqtt_lost' })
  })

  test.each([
    ['and was once since', { isThrottled: false, isConnected: true }],
    ['and was once since, while the board was throttled', { isThrottled: true, isConnected: true }],
  ])('%s: good', (_, once) => {
    const device = new Device()
    device.note({ gapMs: 1200, state: once })
    expect(device.verdict({ gapMs: 1200, state: away })).toBe('good')
  })

  test('or was not: good', () => {
    expect(new Device({ before: { isConnected: false } }).verdict({ gapMs: 1200, state: away })).toBe('good')
  })
})

describe('what a model was like', () => {
  test('is not known before there are a hundred runs', () => {
    const recorder = new ConductRecorder()
    expect(recorder.conduct).toEqual({ p50Ms: null, p95Ms: null, commonest: 1 })
    for (let i = 1; i <= 99; i++) recorder.note(i, '')
    expect(recorder.conduct).toEqual({ p50Ms: null, p95Ms: null, commonest: 1 })
    recorder.note(100, 'cat')
    expect(recorder.conduct).toEqual({ p50Ms: 50, p95Ms: 95, commonest: 0.99 })
  })

  test('is what it was like lately', () => {
    const recorder = new ConductRecorder()
    for (let i = 0; i < 10_000; i++) recorder.note(10, 'cat')
    for (let i = 0; i < 3000; i++) recorder.note(20, 'dog')
    const { p50Ms, p95Ms, commonest } = recorder.conduct
    expect([p50Ms, p95Ms]).toEqual([20, 20])
    // Of all that there were, 77 % were cats.
    expect(commonest).toBeGreaterThan(0.85)
    for (let i = 0; i < 10_000; i++) recorder.note(20, i % 2 === 0 ? 'dog' : 'bird')
    expect(recorder.conduct.commonest).toBeCloseTo(0.5, 1)
  })
})
