import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { infoSchema, resultSchema, stateSchema } from '../../src/mqtt/messages.ts'
import { RunningSightd } from '../support/daemon.ts'
import { isRunning, visionPidOf } from '../support/processes.ts'
import { subscribe } from '../support/subscriber.ts'

describe('sightd run --demo', () => {
  test('names the cat and the person, publishes what the schemas promise, and ends with 0', async () => {
    const sightd = new RunningSightd(['run', '--demo', '--max-frames', '60'])
    const subscriber = await subscribe(await sightd.brokerPort())
    expect(await sightd.exited, sightd.output).toBe(0)

    const seen = sightd.log.filter(({ msg }) => msg === 'sees').map((line) => line['what'])
    expect(seen.some((what) => /\bcat 0\.\d/.test(String(what)))).toBe(true)
    expect(seen.some((what) => /\bperson 0\.\d/.test(String(what)))).toBe(true)

    const summary = sightd.log.find(({ msg }) => msg === 'stopped')
    const frames = summary?.['frames'] as Record<string, number>
    expect(summary?.['results']).toBe(60)
    expect(frames['captured']).toBe((frames['inferred'] ?? 0) + (frames['dropped'] ?? 0) + (frames['skipped'] ?? 0))
    expect(frames['pending']).toBe(0)

    const byName = Map.groupBy(subscriber.received, ({ topic }) => topic.split('/').at(-1))
    expect(byName.get('status')?.map(({ text }) => text)).toEqual(['online', 'offline'])
    for (const { text } of byName.get('info') ?? []) v.parse(infoSchema, JSON.parse(text))
    const states = (byName.get('state') ?? []).map(({ text }) => v.parse(stateSchema, JSON.parse(text)))
    expect(states.at(-1)).toMatchObject({
      status: 'running',
      camera: { state: 'online' },
      model: { name: 'ssdlite-mobilenet-v2-coco' },
    })
    const results = (byName.get('result') ?? []).map(({ text }) => v.parse(resultSchema, JSON.parse(text)))
    expect(results.length).toBeGreaterThanOrEqual(3)
    expect(results.map(({ seq }) => seq)).toEqual(results.map((_, i) => (results[0]?.seq ?? 0) + i))
  })

  test('a killed vision process is replaced: results again within 2 s, in the same MQTT session', async () => {
    const sightd = new RunningSightd(['run', '--demo'])
    const subscriber = await subscribe(await sightd.brokerPort())
    await subscriber.message(({ topic }) => topic.endsWith('/result'))
    const vision = visionPidOf(sightd.child.pid ?? 0)
    if (vision === undefined) throw new Error('no vision process')
    const before = subscriber.received.length
    const killedMs = performance.now()
    process.kill(vision, 'SIGKILL')

    const isReason = ({ topic, text }: { topic: string; text: string }) =>
      topic.endsWith('/state') && text.includes('SIGKILL')
    expect(JSON.parse((await subscriber.message(isReason, before)).text)).toMatchObject({ status: 'degraded' })
    const result = await subscriber.message(({ topic }) => topic.endsWith('/result'), subscriber.received.length)
    expect(result.atMs - killedMs).toBeLessThan(2000)
    expect(visionPidOf(sightd.child.pid ?? 0)).not.toBe(vision)
    expect(subscriber.received.filter(({ topic }) => topic.endsWith('/status')).map(({ text }) => text)).toEqual([
      'online',
    ])
    expect(sightd.log.filter(({ msg }) => msg === 'broker connected')).toHaveLength(1)
  })

  test('SIGTERM: says offline, gone within 3 s with exit code 0, and no process left', async () => {
    const sightd = new RunningSightd(['run', '--demo'])
    const subscriber = await subscribe(await sightd.brokerPort())
    await subscriber.message(({ topic }) => topic.endsWith('/result'))
    const vision = visionPidOf(sightd.child.pid ?? 0) ?? 0
    const stoppedMs = performance.now()
    sightd.child.kill('SIGTERM')
    expect(await sightd.exited).toBe(0)
    expect(performance.now() - stoppedMs).toBeLessThan(3000)
    expect(isRunning(vision)).toBe(false)
    expect(subscriber.received.findLast(({ topic }) => topic.endsWith('/status'))?.text).toBe('offline')
  })

  test('a daemon that is killed takes its vision process with it', async () => {
    const sightd = new RunningSightd(['run', '--demo'])
    await sightd.line(({ msg }) => msg === 'sees')
    const vision = visionPidOf(sightd.child.pid ?? 0) ?? 0
    sightd.child.kill('SIGKILL')
    await sightd.exited
    await expect.poll(() => isRunning(vision), { timeout: 3000 }).toBe(false)
  })
})
