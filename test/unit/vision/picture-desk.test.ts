import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PictureReport } from '../../../src/core/vision-protocol.ts'
import type { NumberedFrame } from '../../../src/vision/inference-feed.ts'
import { toRgb } from '../../../src/vision/picture.ts'
import { PictureDesk } from '../../../src/vision/picture-desk.ts'
import { readJpeg } from '../../support/jpeg.ts'

const geometry = { width: 32, height: 16, stride: 64 }

/** A grey frame; its buffer is larger than it needs, as those of the pool are. */
function frame(id: number, luma: number): NumberedFrame {
  const data = new Uint8Array(4096).fill(128)
  data.fill(luma, 0, geometry.stride * geometry.height)
  return { id, capturedAtMs: 1000 + id, geometry, data, isStale: false, readyMs: 0 }
}

function open({ keeps = false } = {}) {
  const answers: PictureReport[] = []
  const waiting = new Map<number, (answer: PictureReport) => void>()
  const desk = new PictureDesk({
    onAnswer: (answer) => {
      answers.push(answer)
      waiting.get(answer.requestId)?.(answer)
    },
    explainNoFrame: () => 'the camera sleeps',
  })
  desk.keep(keeps)
  let requestId = 0
  const ask = (frameId: number | null = null, maxBytes = 10_000) => {
    const { promise, resolve } = Promise.withResolvers<PictureReport>()
    waiting.set(++requestId, resolve)
    desk.ask({ type: 'picture', requestId, frameId, maxBytes })
    return promise
  }
  return { desk, ask, answers }
}

/** The brightness that a picture shows. */
async function lumaOf({ jpeg, reason }: PictureReport): Promise<number> {
  expect(reason).toBeNull()
  return (await readJpeg(jpeg ?? '')).rgb[0] ?? -1
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

describe('PictureDesk', () => {
  test('gives the frame that was inferred last, and says which it is', async () => {
    const { desk, ask } = open({ keeps: true })
    desk.note(frame(7, 50), 'inferred')
    desk.note(frame(8, 100), 'inferred')
    desk.note(frame(9, 200), 'left out')
    const answer = await ask()
    expect(answer.frame).toEqual({ id: 8, width: 32, height: 16, capturedAtMs: 1008 })
    expect(await lumaOf(answer)).toBe(100)
    expect((await ask(7)).frame?.id).toBe(8)
  })

  test('what it shows is a copy: the buffer may be filled anew at once', async () => {
    const { desk, ask } = open({ keeps: true })
    const first = frame(1, 50)
    desk.note(first, 'inferred')
    const asked = ask()
    first.data.fill(0)
    for (let id = 2; id < 5; id++) desk.note(frame(id, 200), 'inferred')
    const answer = await asked
    expect(answer.frame?.id).toBe(1)
    expect(await lumaOf(answer)).toBe(50)
  })

  test('a frame that waits for the encoder is still there for others', async () => {
    const { desk, ask } = open({ keeps: true })
    desk.note(frame(1, 50), 'inferred')
    const first = ask()
    desk.note(frame(2, 100), 'inferred')
    const answers = await Promise.all([first, ask(1), ask(2), ask()])
    expect(answers.map((answer) => answer.frame?.id)).toEqual([1, 1, 2, 2])
    expect(await Promise.all(answers.map(lumaOf))).toEqual([50, 50, 100, 100])
  })

  test.each(['inferred', 'left out'] as const)(
    'without a kept frame all that ask get the next one that was %s',
    async (fate) => {
      const { desk, ask } = open()
      desk.note(frame(1, 50), 'inferred')
      const asked = [ask(), ask(1)]
      desk.note(frame(2, 100), fate)
      desk.note(frame(3, 200), fate)
      expect((await Promise.all(asked)).map((answer) => answer.frame?.id)).toEqual([2, 2])
    },
  )

  test('a frame that was left out does not take the place of a kept one', async () => {
    const { desk, ask } = open({ keeps: true })
    desk.note(frame(1, 50), 'inferred')
    vi.advanceTimersByTime(1001)
    const current = ask()
    desk.note(frame(2, 200), 'left out')
    expect(await lumaOf(await current)).toBe(200)
    const kept = await ask(1)
    expect(kept.frame?.id).toBe(1)
    expect(await lumaOf(kept)).toBe(50)
  })

  test('frames are kept no longer than they are wanted', async () => {
    const { desk, ask, answers } = open({ keeps: true })
    desk.note(frame(1, 50), 'inferred')
    desk.keep(false)
    const asked = ask(1)
    expect(answers).toEqual([])
    desk.note(frame(2, 50), 'inferred')
    expect((await asked).frame?.id).toBe(2)
  })

  test('after 5 s without a frame it says why there is none', async () => {
    const { ask, answers } = open()
    const asked = ask()
    vi.advanceTimersByTime(4999)
    expect(answers).toEqual([])
    vi.advanceTimersByTime(1)
    expect(await asked).toEqual({
      type: 'picture',
      requestId: 1,
      jpeg: null,
      reason: 'no frame for 5 s: the camera sleeps',
      frame: null,
    })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('four wait for a frame, the fifth is turned away', async () => {
    const { desk, ask } = open()
    const asked = Array.from({ length: 4 }, () => ask())
    expect((await ask()).reason).toBe('4 other pictures have to be made first')
    desk.note(frame(1, 50), 'inferred')
    for (const answer of await Promise.all(asked)) expect(answer.frame?.id).toBe(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('one is with the encoder, four wait for it, the sixth is turned away', async () => {
    const { desk, ask } = open({ keeps: true })
    desk.note(frame(1, 50), 'inferred')
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask()))
    expect(answers.map(({ reason }) => reason === null)).toEqual([true, true, true, true, true, false])
  })

  test('a JPEG that fits into no such limit is refused in words, and the next is made', async () => {
    const { desk, ask } = open({ keeps: true })
    desk.note(frame(1, 50), 'inferred')
    expect((await ask(null, 10)).reason).toBe('no JPEG of a frame of 32x16 fits into 10 bytes')
    expect((await ask()).reason).toBeNull()
  })

  test('closed, it has answered all that waited, and answers who comes', async () => {
    const { desk, ask } = open()
    const asked = [ask(), ask()]
    desk.close()
    for (const answer of await Promise.all([...asked, ask()])) expect(answer.reason).toBe('the vision process stops')
    expect(vi.getTimerCount()).toBe(0)
  })

  test('colours come out as toRgb sees them', async () => {
    const { desk, ask } = open()
    const asked = ask()
    const red = frame(1, 76)
    red.data.fill(85, 64 * 16, 64 * 16 + 16 * 16)
    red.data.fill(255, 64 * 16 + 16 * 16, 64 * 16 + 2 * 16 * 16)
    desk.note(red, 'inferred')
    const { rgb } = await readJpeg((await asked).jpeg ?? '')
    for (const [i, level] of toRgb(red).rgb.entries()) expect(Math.abs(level - (rgb[i] ?? 0))).toBeLessThanOrEqual(4)
  })
})
