import { expect, test } from 'vitest'
import { deviceTopics } from '../../../src/mqtt/topics.ts'

test('the topics of a device are its base topic, its id and a name', () => {
  expect(deviceTopics('home/cameras', 'pi-1')).toEqual({
    status: 'home/cameras/pi-1/status',
    info: 'home/cameras/pi-1/info',
    state: 'home/cameras/pi-1/state',
    result: 'home/cameras/pi-1/result',
  })
})
