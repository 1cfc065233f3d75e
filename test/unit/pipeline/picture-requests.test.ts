import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { PictureRequests } from '../../../src/pipeline/picture-requests.ts'

const frame = { id: 3, width: 640, height: 480, capturedAtMs: 5 }
const jpeg = Buffer.from([255, 216, 255, 217])

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  // Whatever happened, nothing is left running.
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

/** A request that is on its way, and its id. */
function open(requests: PictureRequests) {
  let requestId = -1
  const picture = requests.open((id) => {
    requestId = id
  })
  return { requestId, picture }
}

test('each answer goes to whom it is for', async () => {
  const requests = new PictureRequests()
  const [first, second, third] = [open(requests), open(requests), open(requests)]
  requests.answer({
    type: 'picture',
    requestId: second.requestId,
    jpeg: jpeg.toString('base64'),
    reason: null,
    frame,
  })
  requests.answer({ type: 'picture', requestId: first.requestId, jpeg: null, reason: 'no frame', frame: null })
  requests.answer({ type: 'picture', requestId: third.requestId, jpeg: null, reason: null, frame: null })
  expect(await second.picture).toEqual({ jpeg, frame })
  expect(await first.picture).toEqual({ reason: 'no frame' })
  expect(await third.picture).toEqual({ reason: 'the vision process gave no picture' })
})

test('8 s without an answer are answered, and a late answer finds nobody', async () => {
  const requests = new PictureRequests()
  const { requestId, picture } = open(requests)
  vi.advanceTimersByTime(8000)
  expect(await picture).toEqual({ reason: 'the vision process gave no picture within 8 s' })
  requests.answer({ type: 'picture', requestId, jpeg: jpeg.toString('base64'), reason: null, frame })
})

test('all end with the process', async () => {
  const requests = new PictureRequests()
  const asked = [open(requests), open(requests)]
  requests.endAll('it is down')
  for (const { picture } of asked) expect(await picture).toEqual({ reason: 'it is down' })
  const next = open(requests)
  expect(asked.map(({ requestId }) => requestId)).not.toContain(next.requestId)
  requests.endAll('it is down again')
  expect(await next.picture).toEqual({ reason: 'it is down again' })
})
