import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { type UpdateStatus, updatePhases, updatesOff } from '../../../src/core/update-status.ts'
import { encodeMessage, eventSchema, updateEventSchema, updateSchema } from '../../../src/mqtt/messages.ts'
import { isUpdateEvent, UpdateNews, updateEventMessage, updateMessage } from '../../../src/mqtt/update-message.ts'
import { saidEvent } from '../../support/said.ts'
import { modelOne, modelTwo, outcome, updateStatus } from '../../support/updates.ts'

const other = { name: 'cats', version: '1' }

describe('updateMessage', () => {
  test('is what is promised, in every phase', () => {
    for (const phase of updatePhases) {
      const message = updateMessage(updateStatus({ phase, candidate: modelTwo, last: outcome }), modelOne, 0)
      expect(v.parse(updateSchema, message)).toEqual(message)
    }
  })

  test.each([
    ['nothing known', updatesOff, undefined, [null, null, null]],
    ['no repository', updatesOff, modelOne, [modelOne.name, '1', '1']],
    ['nothing to come', updateStatus(), modelOne, [modelOne.name, '1', '1']],
    ['one to come', updateStatus({ candidate: modelTwo }), modelOne, [modelOne.name, '1', '2']],
    ['another to come', updateStatus({ candidate: other, active: modelTwo }), modelTwo, [modelOne.name, '2', '1']],
    ['on probation', updateStatus({ phase: 'trial', candidate: modelTwo }), modelTwo, [modelOne.name, '2', '2']],
    ['none loaded', updateStatus({ candidate: other }), undefined, [modelOne.name, '1', '1']],
  ])('names what runs and what comes: %s', (_, status, model, [title, installed, latest]) => {
    expect(updateMessage(status, model, 0)).toMatchObject({
      title,
      installed_version: installed,
      latest_version: latest,
    })
  })

  test.each([
    ['idle', false],
    ['check', false],
    ['waiting', false],
    ['download', true],
    ['self_test', true],
    ['shadow', true],
    ['trial', true],
  ] as const)('in phase %s, a replacement is in progress: %s', (phase, isBusy) => {
    expect(updateMessage(updateStatus({ phase, percent: 41.9 }), modelOne, 0)).toMatchObject({
      in_progress: isBusy,
      percent: 41,
      update_percentage: isBusy ? 41 : null,
    })
  })

  test('has whole percents, and numbers that are short', () => {
    const shadow = { frames: 3, agreement: 2 / 3, active_ms: 10.04, candidate_ms: 1 / 3 }
    expect(updateMessage(updateStatus({ percent: 99.99, shadow }), modelOne, 0)).toMatchObject({
      percent: 99,
      shadow: { frames: 3, agreement: 0.6667, active_ms: 10, candidate_ms: 0.3 },
    })
  })
})

describe('what is news', () => {
  const download = (percent: number | null, change: Partial<UpdateStatus> = {}, atMs = 0) =>
    updateMessage(updateStatus({ phase: 'download', percent, ...change }), modelOne, atMs)

  test('a change, at once; the same again, never', () => {
    const news = new UpdateNews()
    expect(news.isNews(download(1), 0)).toBe(true)
    expect(news.isNews(download(1, {}, 60_000), 60_000)).toBe(false)
    expect(news.isNews(download(1, { reason: 'the network is slow' }), 60_001)).toBe(true)
    expect(news.isNews(download(1, { reason: 'the network is slow', paused: true }), 60_002)).toBe(true)
  })

  test('whole percents, once a second', () => {
    const news = new UpdateNews()
    expect(news.isNews(download(1), 0)).toBe(true)
    expect(news.isNews(download(2), 999)).toBe(false)
    expect(news.isNews(download(2.5), 1000)).toBe(true)
    expect(news.isNews(download(2.9), 5000)).toBe(false)
  })

  test('what has been seen of both models, once a second', () => {
    const shadow = (frames: number) => ({ shadow: { frames, agreement: 1, active_ms: 1, candidate_ms: 1 } })
    const news = new UpdateNews()
    expect(news.isNews(download(1), 0)).toBe(true)
    expect(news.isNews(download(1, shadow(1)), 10)).toBe(false)
    expect(news.isNews(download(1, shadow(2)), 1010)).toBe(true)
  })

  test('whatever comes when, percents make at most one message a second, and the last is told within one', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 0, max: 100 })), {
      minLength: 1,
    })
    fc.assert(
      fc.property(steps, (all) => {
        const news = new UpdateNews()
        const told: number[] = []
        let nowMs = 0
        let shown: number | undefined
        for (const [waitMs, percent] of [...all, [1000, all.at(-1)?.[1] ?? 0] as const]) {
          nowMs += waitMs
          if (!news.isNews(download(percent), nowMs)) continue
          told.push(nowMs)
          shown = percent
        }
        expect(told.every((at, i) => at - (told[i - 1] ?? Number.NEGATIVE_INFINITY) >= 1000)).toBe(true)
        expect(shown).toBe(all.at(-1)?.[1])
      }),
    )
  })
})

describe('how an update ended', () => {
  const kept = encodeMessage(updateEventSchema, updateEventMessage(outcome, '5d41402a'))

  test('is told apart from what was seen, also when it is replayed', () => {
    expect(isUpdateEvent(kept)).toBe(true)
    expect(isUpdateEvent(JSON.stringify({ ...JSON.parse(kept), replayed: true }))).toBe(true)
    for (const type of eventSchema.entries.type.options)
      expect(isUpdateEvent(saidEvent({ type, label: 'outcome' }))).toBe(false)
    expect(isUpdateEvent('no JSON')).toBe(false)
  })

  test('is whole', () => {
    expect(JSON.parse(kept)).toEqual({ v: 1, type: 'outcome', boot: '5d41402a', ...outcome, replayed: false })
  })
})
