import type { SelfTestOutcome } from '../../src/core/model-trial.ts'
import type { UpdateStatus } from '../../src/core/update-status.ts'
import { tinyModel } from './tiny-model.ts'
import { UpdatingDevice } from './updating-device.ts'

const passed = { passed: true, loadMs: 1, inferenceMs: 1, peakMb: 1 } as const
async function untilAborted(signal: AbortSignal): Promise<SelfTestOutcome> {
  signal.throwIfAborted()
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

type Phase = Exclude<UpdateStatus['phase'], 'idle'>

/** A device that is offered version 2 and can't get on in a phase, and what lets it. */
export async function heldIn(phase: Phase) {
  const settings = { needsConsent: phase === 'waiting', ...(phase === 'trial' ? { shadowMs: 0 } : {}) }
  const device = await UpdatingDevice.start(settings)
  const { server, vision } = device
  if (phase === 'check') server.spoil({ afterBytes: 100, by: 'silence' })
  if (phase === 'download') server.spoil({ afterBytes: 50_000, by: 'silence' })
  if (phase === 'self_test') vision.selfTests = (_, signal) => untilAborted(signal)
  if (phase === 'shadow' || phase === 'trial') vision.hasCamera = false
  await device.repository.offer(await tinyModel('2', { bytes: 120_000 }))
  await device.updater.check()
  await device.in(phase)
  if (phase === 'download') await device.until(() => device.partBytes >= 50_000)
  if (phase === 'trial') await device.until(() => device.vision.active === '2')
  const letGo = () => {
    server.heal()
    device.vision.selfTests = async () => passed
    device.vision.hasCamera = true
  }
  return { device, letGo }
}

/** Phases before a candidate is in charge. */
export const early = ['download', 'self_test', 'waiting', 'shadow'] as const
