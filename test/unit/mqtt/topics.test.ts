import { expect, test } from 'vitest'
import { deviceTopics } from '../../../src/mqtt/topics.ts'

test('the topics of a device are its base topic, its id and a name; those for all have no id', () => {
  const { allRequest, updateHint, ...own } = deviceTopics('home/cameras', 'pi-1')
  expect(updateHint).toBe('home/cameras/update/hint')
  expect(allRequest).toBe('home/cameras/all/request/')
  expect(own.status).toBe('home/cameras/pi-1/status')
  for (const topic of Object.values(own)) expect(topic.startsWith('home/cameras/pi-1/')).toBe(true)
})

test("with the longest id and an ordinary base topic they stay within AWS IoT's 7 slashes", () => {
  for (const topic of Object.values(deviceTopics('home/garden', 'a'.repeat(36))))
    expect(topic.split('/').length - 1).toBeLessThanOrEqual(7)
})
