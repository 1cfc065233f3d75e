import { EventEmitter, once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { foundObjects } from '../../src/core/prediction.ts'
import type { SpareReport } from '../../src/core/vision-protocol.ts'
import { bundledModel } from '../../src/daemon.ts'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { type FeedResult, InferenceFeed } from '../../src/vision/inference-feed.ts'
import { editManifest } from '../support/models.ts'
import { colourModel, undefinedModel } from '../support/onnx.ts'
import { trusted } from '../support/vision.ts'

const geometry = { width: 32, height: 32, stride: 32 }
const bytes = (32 * 32 * 3) / 2
const open = { lowestScore: null, maxFps: null, isPaused: false, motion: null }

/** A classifier that finds one thing in every picture: its own name. */
async function namedModel(name: string): Promise<string> {
  const folder = await colourModel({ type: 'uint8', layout: 'NHWC', colour: 'RGB', output: 'logits' })
  await editManifest(folder, (manifest) => {
    Object.assign(manifest, { name, labels: [name, name, name], threshold: 0 })
  })
  return folder
}

/** A feed on real threads whose books are checked at each of its words. */
function startFeed(dir: string) {
  const pool = new BufferPool(3, bytes)
  const happened = new EventEmitter()
  const results: FeedResult[] = []
  const reports: SpareReport[] = []
  let inCharge: string | undefined
  const check = () => {
    const { captured, inferred, dropped, skipped, pending } = feed.counters
    expect(captured).toBe(inferred + dropped + skipped + pending)
    expect(inferred).toBe(results.length)
  }
  const feed = new InferenceFeed({
    options: { model: trusted(dir), threads: 1 },
    pool,
    tuning: open,
    onResult: (result) => {
      expect(result.frame.id).toBeGreaterThan(results.at(-1)?.frame.id ?? -1)
      expect(foundObjects(result.finding)[0]?.label).toBe(inCharge)
      results.push(result)
      check()
      happened.emit('result')
    },
    onSpare: (report) => {
      reports.push(report)
      if (report.type === 'swapped') inCharge = report.model.name
      check()
      happened.emit(report.type)
    },
  })
  const ready = feed.ready.then(({ model }) => (inCharge = model.name))
  const offer = () => feed.offer({ capturedAtMs: 0, geometry, data: pool.take(), isStale: false })
  /** Everything under way has come to an end. */
  const settle = async () => {
    while (feed.isBusy) await turn()
  }
  return { feed, pool, results, reports, ready, offer, check, settle, happened, inCharge: () => inCharge }
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant('frame' as const) },
    { weight: 4, arbitrary: fc.constantFrom('turn' as const, 'settle' as const) },
    { weight: 4, arbitrary: fc.constant('swap' as const) },
    { weight: 1, arbitrary: fc.constantFrom('candidate' as const, 'bad candidate' as const) },
    { weight: 1, arbitrary: fc.constantFrom('answer' as const, 'release' as const) },
    { weight: 1, arbitrary: fc.constantFrom('pause' as const, 'go on' as const) },
  ),
  { minLength: 30, maxLength: 60 },
)

describe('InferenceFeed', () => {
  test('whatever is loaded, swapped and let go: each frame is in one place, each result has its model, each buffer comes back', async () => {
    const [first, second, bad] = [await namedModel('first'), await namedModel('second'), await undefinedModel()]
    const seen = { swapped: 0, shadow: 0, candidate: 0 }
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const { feed, pool, reports, ready, offer, check, settle, happened } = startFeed(first)
        let candidateId = 0
        let isBad = false
        let isAwaited = false
        const load = (dir: string) => {
          feed.loadCandidate({ candidateId: ++candidateId, model: trusted(dir), threads: 1 })
          isBad = dir === bad
          isAwaited = true
        }
        const isAnswered = () => reports.some((report) => 'candidateId' in report && report.candidateId === candidateId)
        load(second)
        await ready
        for (const step of ['answer', 'frame', 'settle', ...plan]) {
          if (step === 'frame') offer()
          else if (step === 'turn') await turn()
          else if (step === 'settle') await settle()
          else if (step === 'candidate') load(second)
          else if (step === 'bad candidate') load(bad)
          else if (step === 'answer') {
            while (isAwaited && !isAnswered()) await once(happened, 'candidate')
          } else if (step === 'release') {
            feed.release()
            isAwaited = false
          } else if (step === 'swap') {
            // A bad one in charge would end the feed, as it should.
            if (!isBad) feed.swap()
          } else if (step === 'pause' || step === 'go on') feed.tune({ ...open, isPaused: step === 'pause' })
          check()
        }
        await feed.close()
        check()
        expect(feed.counters.pending).toBe(0)
        for (let buffer = 0; buffer < 3; buffer++) expect(pool.take()).toHaveLength(bytes)
        expect(() => pool.take()).toThrow('buffer pool is empty')
        for (const { type } of reports) seen[type]++
      }),
      { numRuns: 15 },
    )
    // The plans are random; that they came to something is not left to luck.
    expect(seen.swapped).toBeGreaterThanOrEqual(8)
    expect(seen.shadow).toBeGreaterThanOrEqual(8)
  }, 120_000)

  test('a swap lets the frame in flight land with the old model, and gives the one that waits to the new one', async () => {
    const { feed, results, reports, ready, offer, settle, happened } = startFeed(await namedModel('first'))
    await ready
    feed.loadCandidate({ candidateId: 1, model: trusted(await namedModel('second')), threads: 1 })
    await once(happened, 'candidate')
    for (const there of ['second', 'first', 'second']) {
      const before = results.length
      offer()
      offer()
      feed.swap()
      expect(reports.at(-1)).not.toMatchObject({ type: 'swapped', model: { name: there } })
      await settle()
      expect(reports.at(-1)).toMatchObject({ type: 'swapped', model: { name: there } })
      const labels = results.slice(before).map(({ finding }) => foundObjects(finding)[0]?.label)
      expect(labels).toEqual([there === 'second' ? 'first' : 'second', there])
    }
    expect(feed.counters).toMatchObject({ captured: 6, inferred: 6, dropped: 0, skipped: 0 })
    await feed.close()
  })

  test('while the candidate looks on, the next frame waits', async () => {
    const { feed, results, ready, offer, settle, happened } = startFeed(await namedModel('first'))
    await ready
    // It takes many times as long as the model in charge.
    feed.loadCandidate({ candidateId: 1, model: trusted(bundledModel), threads: 1 })
    await once(happened, 'candidate')
    const order: string[] = []
    for (const type of ['result', 'shadow']) happened.on(type, () => order.push(type))
    happened.once('result', () => offer())
    offer()
    await once(happened, 'shadow')
    await settle()
    expect(order).toEqual(['result', 'shadow', 'result'])
    expect(results).toHaveLength(2)
    await feed.close()
  })

  test('without a second model a swap does nothing, then and later', async () => {
    const { feed, reports, ready, offer, settle, happened } = startFeed(await namedModel('first'))
    await ready
    feed.swap()
    offer()
    feed.swap()
    await settle()
    feed.loadCandidate({ candidateId: 1, model: trusted(await namedModel('second')), threads: 1 })
    await once(happened, 'candidate')
    offer()
    await settle()
    expect(reports.map(({ type }) => type)).toEqual(['candidate', 'shadow'])
    await feed.close()
  })

  test.each([
    ['can not be loaded', async () => '/nowhere', 'model_invalid', /\/nowhere\/manifest\.json: can't be read/],
    ['gives NaN', undefinedModel, 'bad_output', /output scores has NaN or infinity/],
  ])('a candidate that %s is gone, and the model in charge works on', async (_, make, code, message) => {
    const { feed, results, reports, ready, offer, settle, happened } = startFeed(await namedModel('first'))
    await ready
    feed.loadCandidate({ candidateId: 7, model: trusted(await make()), threads: 1 })
    await once(happened, 'candidate')
    for (let frame = 0; frame < 3; frame++) {
      offer()
      await settle()
    }
    expect(results).toHaveLength(3)
    expect(reports.at(-1)).toMatchObject({
      type: 'candidate',
      state: 'failed',
      candidateId: 7,
      code,
      message: expect.stringMatching(message),
    })
    // Whoever wanted it to take over finds nobody, and the feed goes on.
    feed.swap()
    offer()
    await settle()
    expect(results).toHaveLength(4)
    await feed.close()
  })

  test('NaN from the model in charge ends the feed', async () => {
    const { feed, ready, offer } = startFeed(await undefinedModel())
    await ready
    offer()
    await expect(feed.ended).rejects.toThrow(
      expect.objectContaining({ code: 'bad_output', message: "the model's output scores has NaN or infinity in it" }),
    )
  })
})
