import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { SightdError } from '../../../src/core/errors.ts'
import type { ModelFault } from '../../../src/core/model-trial.ts'
import { ModelProof } from '../../../src/ota/model-proof.ts'
import { never } from '../../support/downloads.ts'
import { HandStage } from '../../support/hand-stage.ts'
import { holdLongWaits } from '../../support/held-waits.ts'
import { candidate, SlotsDevice } from '../../support/slots-device.ts'

const source = { dir: '/models/2', manifestSha256: candidate.sha256 }
const sample = { agreement: 0.5, activeMs: 10, candidateMs: 12 }

async function start({ shadowMs = 1 } = {}) {
  const device = await SlotsDevice.start()
  const stage = new HandStage()
  const percents: number[] = []
  const make = () => {
    const onProgress = (percent: number) => percents.push(percent)
    return new ModelProof({ slots: device.slots, stage, shadowMs, slowdown: 1.5, onProgress })
  }
  return { device, stage, percents, proof: make(), make }
}

/** A shadow run that has begun. */
async function shadowing(options: { shadowMs?: number } = {}) {
  const all = await start(options)
  const abort = new AbortController()
  const ending = all.proof.shadow(candidate, source, abort.signal)
  ending.catch(() => {})
  while (!all.stage.told.includes('load')) await setImmediate()
  await setImmediate()
  return { ...all, abort, ending }
}

const faults: ModelFault[] = ['model_invalid', 'golden_mismatch', 'bad_output', 'died', 'hung', 'memory']

describe('a self-test', () => {
  test('is written down before it begins, and has ended in order after', async () => {
    const { device, stage, proof } = await start()
    stage.outcome = async () => {
      await device.restart()
      expect(device.record).toMatchObject({ candidate, stage: 'proving', tries: 1 })
      return { passed: true, loadMs: 1, inferenceMs: 1, peakMb: 1 }
    }
    expect(await proof.selfTest(candidate, source, never)).toBe(undefined)
    await device.restart()
    expect(device.record).toMatchObject({ candidate, stage: 'idle', tries: 0, bootId: '' })
  })

  test.each(faults)('that fails (%s) is the end of the candidate', async (fault) => {
    const { device, stage, proof } = await start()
    stage.outcome = async () => ({ passed: false, fault, message: 'so it is' })
    const ending = await proof.selfTest(candidate, source, never)
    expect(ending).toEqual({ outcome: 'failed', code: fault, reason: 'so it is', isBad: true })
    expect(device.record).toMatchObject({ tries: 0 })
  })

  test('that is called off says nothing about the candidate', async () => {
    const { device, stage, proof } = await start()
    const abort = new AbortController()
    stage.outcome = async (signal) => {
      abort.abort(new Error('enough'))
      throw signal.reason
    }
    await expect(proof.selfTest(candidate, source, abort.signal)).rejects.toThrow('enough')
    expect(device.record).toMatchObject({ candidate, tries: 0 })
  })

  test('that is called off as it ends says nothing either', async () => {
    const { stage, proof } = await start()
    const abort = new AbortController()
    stage.outcome = async () => {
      abort.abort(new Error('enough'))
      return { passed: false, fault: 'died', message: 'killed' }
    }
    await expect(proof.selfTest(candidate, source, abort.signal)).rejects.toThrow('enough')
  })

  test('row 56: in which we died three times is not begun again', async () => {
    const { device, stage, make } = await start()
    stage.outcome = () => new Promise(() => {})
    for (let deaths = 0; deaths < 3; deaths++) {
      void make().selfTest(candidate, source, never)
      while (device.record.tries === deaths) await setImmediate()
      await device.restart()
    }
    expect(await make().selfTest(candidate, source, never)).toMatchObject({ code: 'died', isBad: true })
    expect(stage.told).toHaveLength(3)
  })
})

describe('a shadow run', () => {
  test('passes when enough frames have shown nothing bad; the candidate stays beside the active model', async () => {
    const { device, stage, proof, percents, ending } = await shadowing()
    expect(device.record).toMatchObject({ stage: 'proving', tries: 1 })
    expect(proof.summary).toBe(null)
    for (let frames = 1; (percents.at(-1) ?? 0) < 100; frames++) {
      proof.noteShadow(sample)
      expect(proof.summary).toEqual({ frames, agreement: 0.5, activeMs: 10, candidateMs: 12 })
      await setImmediate()
    }
    expect(await ending).toBe(undefined)
    expect(stage.told).toEqual(['load'])
    expect(device.record).toMatchObject({ tries: 0 })
    // What comes later is of no interest any more.
    const { summary } = proof
    proof.noteShadow(sample)
    proof.noteCandidateDown({ fault: 'died', message: 'later' })
    proof.noteDown('later', false)
    expect(proof.summary).toBe(summary)
  })

  test('row 59: fails when it takes much longer than the active model', async () => {
    const { stage, proof, percents, ending } = await shadowing()
    while ((percents.at(-1) ?? 0) < 100) {
      proof.noteShadow({ ...sample, candidateMs: 15.1 })
      await setImmediate()
    }
    expect(await ending).toEqual({
      outcome: 'failed',
      code: 'slow',
      reason: expect.stringMatching(/15\.1 ms, 10\.0 ms/),
      isBad: true,
    })
    expect(stage.told).toEqual(['load', 'release'])
  })

  test.each(faults)('fails when the candidate does (%s)', async (fault) => {
    const { device, stage, proof, ending } = await shadowing()
    proof.noteCandidateDown({ fault, message: 'so it is' })
    expect(await ending).toEqual({ outcome: 'failed', code: fault, reason: 'so it is', isBad: true })
    expect(stage.told).toEqual(['load', 'release'])
    expect(device.record).toMatchObject({ tries: 0 })
  })

  test('fails when the model is not what its manifest says', async () => {
    const { device, stage, proof } = await start()
    stage.load = async () => {
      throw new SightdError('model_invalid', 'no such output')
    }
    const ending = await proof.shadow(candidate, source, never)
    expect(ending).toEqual({ outcome: 'failed', code: 'model_invalid', reason: 'no such output', isBad: true })
    expect(device.record).toMatchObject({ tries: 0 })
  })

  test('row 56: takes the vision process down three times: the candidate is not loaded again', async () => {
    const { device, stage, proof } = await start()
    stage.load = async () => {
      throw new SightdError('vision_failed', 'the vision process is down')
    }
    await expect(proof.shadow(candidate, source, never)).rejects.toThrow('is down')
    expect(device.record).toMatchObject({ tries: 1, stage: 'proving' })
    stage.load = async () => {}
    for (let deaths = 1; deaths < 3; deaths++) {
      const ending = proof.shadow(candidate, source, never)
      ending.catch(() => {})
      while (device.record.tries === deaths) await setImmediate()
      await setImmediate()
      proof.noteDown('SIGSEGV', false)
      await expect(ending).rejects.toMatchObject({ code: 'vision_failed', message: expect.stringMatching(/SIGSEGV/) })
    }
    expect(await proof.shadow(candidate, source, never)).toMatchObject({ code: 'died', isBad: true })
    expect(stage.told.filter((what) => what === 'load')).toHaveLength(3)
  })

  test('in which the vision process goes down for another reason does not count', async () => {
    const { device, proof, ending } = await shadowing()
    proof.noteDown('no process to be had', true)
    await expect(ending).rejects.toMatchObject({ code: 'vision_failed' })
    expect(device.record).toMatchObject({ candidate, tries: 0 })
  })

  test('that is called off lets the candidate go, and says nothing about it', async () => {
    const { device, stage, abort, ending } = await shadowing({ shadowMs: 60_000 })
    abort.abort(new Error('enough'))
    await expect(ending).rejects.toThrow('enough')
    expect(stage.told).toEqual(['load', 'release'])
    expect(device.record).toMatchObject({ candidate, tries: 0 })
  })

  test('that is called off while it loads does as well', async () => {
    const { device, stage, proof } = await start({ shadowMs: 60_000 })
    const abort = new AbortController()
    stage.load = async () => abort.abort(new Error('enough'))
    await expect(proof.shadow(candidate, source, abort.signal)).rejects.toThrow('enough')
    stage.load = async () => {
      throw new SightdError('vision_failed', 'let go')
    }
    await expect(proof.shadow(candidate, source, abort.signal)).rejects.toThrow('let go')
    expect(stage.told).toEqual(['load', 'release', 'load'])
    expect(device.record).toMatchObject({ candidate, tries: 0 })
  })

  test('of no time only loads it', async () => {
    const { device, stage, proof } = await start({ shadowMs: 0 })
    expect(await proof.shadow(candidate, source, never)).toBe(undefined)
    expect(stage.told).toEqual(['load'])
    expect(device.record).toMatchObject({ tries: 0 })
  })

  test('begins anew each time', async () => {
    const { device, proof, ending } = await shadowing()
    proof.noteShadow(sample)
    proof.noteDown('no process to be had', true)
    await expect(ending).rejects.toThrow()
    expect(proof.summary).toMatchObject({ frames: 1 })
    const next = proof.shadow(candidate, source, never)
    while (device.record.tries === 0) await setImmediate()
    await setImmediate()
    expect(proof.summary).toBe(null)
    proof.noteCandidateDown({ fault: 'died', message: 'so it is' })
    await next
  })

  test('row 60: without a camera for a day shows nothing', async () => {
    const pass = holdLongWaits()
    const { stage, proof, ending } = await shadowing({ shadowMs: 60_000 })
    for (let i = 0; i < 4; i++) proof.noteShadow(sample)
    pass()
    expect(await ending).toMatchObject({ outcome: 'failed', code: 'inconclusive', isBad: false })
    expect(stage.told).toEqual(['load', 'release'])
  })
})
