import { expect, test } from 'vitest'
import type { SceneEvent } from '../../../src/core/scene.ts'
import { EventPictures } from '../../../src/pipeline/event-pictures.ts'
import type { Picture } from '../../../src/pipeline/supervisor.ts'
import { turnsOfTheLoop } from '../lib/spool-tools.ts'

const startMs = 1_000_000

function event(type: SceneEvent['type'], { id = 'a', score = 0.6, atMs = startMs } = {}): SceneEvent {
  return {
    type,
    eventId: id,
    seq: 0,
    label: 'cat',
    classId: 16,
    atMs,
    startMs,
    endMs: null,
    score,
    topScore: score,
    hits: 3,
    box: null,
    zones: [],
    enteredZones: [],
    endReason: null,
  }
}

const jpeg = (text: string): Picture => ({
  jpeg: Buffer.from(text),
  frame: { id: 1, width: 320, height: 240, capturedAtMs: startMs },
})

/** Pictures that the test gives when it likes, and what was published of them. */
function newPictures() {
  const asked: ((picture: Picture) => void)[] = []
  const published: string[] = []
  const pictures = new EventPictures({
    take: () => new Promise((resolve) => asked.push(resolve)),
    publish: ({ eventId, type }, bytes) => published.push(`${eventId} ${type}: ${bytes}`),
  })
  return {
    published,
    note: (...of: Parameters<typeof event>) => void pictures.note(event(...of)),
    /** Answers the oldest request. */
    async give(picture: Picture): Promise<void> {
      const answer = asked.shift()
      if (answer === undefined) throw new Error('nobody asked')
      answer(picture)
      await turnsOfTheLoop(1)
    },
    isAsking: () => asked.length > 0,
  }
}

test('a picture of an event that has ended meanwhile is published all the same', async () => {
  const { note, give, published } = newPictures()
  note('new')
  note('end')
  await give(jpeg('cat'))
  expect(published).toEqual(['a new: cat'])
})

test('another one is taken when it is seen clearly better, a second later at the earliest', async () => {
  const { note, give, isAsking, published } = newPictures()
  note('new')
  await give(jpeg('first'))
  note('update', { score: 0.64, atMs: startMs + 5000 })
  note('update', { score: 0.9, atMs: startMs + 999 })
  expect(isAsking()).toBe(false)
  note('update', { score: 0.66, atMs: startMs + 1000 })
  await give(jpeg('second'))
  note('update', { score: 0.7, atMs: startMs + 9000 })
  expect(isAsking()).toBe(false)
  expect(published).toEqual(['a new: first', 'a update: second'])
})

test('one at a time: who is not served gets another chance with the next message', async () => {
  const { note, give, isAsking, published } = newPictures()
  note('new')
  note('new', { id: 'b' })
  await give(jpeg('a'))
  expect(isAsking()).toBe(false)
  note('update', { id: 'b' })
  await give(jpeg('b'))
  expect(published).toEqual(['a new: a', 'b update: b'])
})

test('one that could not be made is asked for again', async () => {
  const { note, give, published } = newPictures()
  note('new')
  await give({ reason: 'no frame for 5 s' })
  note('update')
  await give(jpeg('later'))
  expect(published).toEqual(['a update: later'])
})
