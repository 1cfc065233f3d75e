import { describe, expect, test } from 'vitest'
import { findProgram } from '../support/mosquitto.ts'
import { hostileKinds, type ModelKind, makeModel } from '../support/update-models.ts'
import { UpdatedDevice } from '../support/updated-device.ts'

/** Ids of frames, in the order of their results: they only grow while one vision process runs. */
function isOneRun(device: UpdatedDevice): boolean {
  const ids = device.results.map(({ frame }) => frame.id)
  return ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0))
}

describe.skipIf(findProgram('mosquitto') === undefined)(
  'models over the air, with real processes (skipped where Mosquitto is not installed)',
  () => {
    test('a good one is downloaded, proved, takes over without a gap, and stays; its like is rolled back by command', {
      timeout: 60_000,
    }, async () => {
      const device = await UpdatedDevice.start()
      const before = device.results.length
      expect(await device.verdict('requantized')).toMatchObject({ outcome: 'committed', code: 'done' })
      const phases = device.updates.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1])
      expect(phases).toEqual(['idle', 'check', 'download', 'self_test', 'shadow', 'trial', 'idle'])
      expect(isOneRun(device)).toBe(true)
      const first = device.results.findIndex(({ model }) => model.version === '2')
      const [last, next] = device.results.slice(first - 1, first + 1)
      // The one that was being looked at, and the one after it.
      expect((next?.frame.id ?? 0) - (last?.frame.id ?? 0)).toBeLessThanOrEqual(2)
      const models = device.results.map(({ model }) => model.version)
      expect(models.filter((version, i) => version !== models[i - 1])).toEqual(['1', '2'])
      expect(device.results.length).toBeGreaterThan(before + 60)
      const newest = device.updates.at(-1)
      expect(newest).toMatchObject({ installed_version: '2', latest_version: '2', in_progress: false, rollout: 'yes' })
      expect(newest?.shadow?.agreement).toBeGreaterThan(0.9)
      const told = await device.subscriber.message(({ topic }) => topic === 'sightd/porch/update/event')
      expect(JSON.parse(told.text)).toMatchObject({ outcome: 'committed', model: { version: '2' } })

      expect(await device.ask('rollback_model')).toMatchObject({ status: 'ok' })
      await device.until(({ installed_version }) => installed_version === '1')
      // It is not taken again.
      await device.ask('check_update')
      await device.until(({ phase, reason }) => phase === 'idle' && reason !== null)
      expect(device.updates.at(-1)).toMatchObject({
        installed_version: '1',
        reason: expect.stringContaining('rolled_back_by_command'),
        last: { outcome: 'rolled_back', code: 'rolled_back_by_command' },
      })
    })

    test('a bad one of each kind is refused, and the model in charge serves all the while', {
      timeout: 300_000,
    }, async () => {
      const device = await UpdatedDevice.start({ self_test_s: 5 })
      const verdicts: [ModelKind, string][] = [
        ['wrongGolden', 'golden_mismatch'],
        ['crashesAtLoad', 'died'],
        ['hangs', 'hung'],
        ['memoryBomb', 'memory'],
        ['slow', 'slow'],
        ['nanLive', 'bad_output'],
      ]
      for (const [kind, code] of verdicts) {
        expect(await device.verdict(kind), kind).toMatchObject({ outcome: 'failed', code })
      }
      for (const kind of hostileKinds)
        expect(await device.verdict(kind), kind).toMatchObject({ outcome: 'failed', code: 'model_invalid' })
      expect(new Set(device.results.map(({ model }) => model.version))).toEqual(new Set(['1']))
      expect(isOneRun(device), 'the vision process was never started anew').toBe(true)
      // What has failed is not fetched again.
      const failed = hostileKinds.at(-1) ?? 'hostile-ort'
      const requests = device.server.requests.length
      await device.repository.desire('porch', await device.repository.publish(await makeModel(failed)))
      await device.ask('check_update')
      await device.until(({ reason }) => reason?.includes('model_invalid') === true)
      expect(device.server.requests.slice(requests).some(({ path }) => path.includes('onnx'))).toBe(false)
    })

    test('one that is bad only in charge is rolled back by itself', { timeout: 120_000 }, async () => {
      const device = await UpdatedDevice.start({ shadow_s: 0, probation_results: 200 })
      await device.resultsUntil(150)
      const verdicts: [ModelKind, string][] = [
        ['nanLive', 'bad_output'],
        ['slow', 'slow'],
        ['constant', 'constant'],
        ['crashesLive', 'died'],
      ]
      for (const [kind, code] of verdicts) {
        expect(await device.verdict(kind), kind).toMatchObject({ outcome: 'rolled_back', code })
        const at = device.subscriber.received.length
        await device.subscriber.message(
          ({ topic, text }) => topic === 'sightd/porch/result' && JSON.parse(text).model.version === '1',
          at,
        )
      }
    })
  },
)
