import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { openConnection } from '../../src/mqtt/client.ts'
import { megabytesInUse } from '../support/memory.ts'
import { listen } from '../support/strict-broker.ts'

/** A broker that says yes to a login (MQTT 5, section 3.2), and nothing more. */
const welcome = Uint8Array.of(0x20, 3, 0, 0, 0)

test('messages of every length leave little behind, though mqtt.js keeps a buffer for each length it ever sent', async () => {
  const port = await listen(createServer((socket) => socket.once('data', () => socket.write(welcome)).resume()))
  const connection = await openConnection({ url: `mqtt://127.0.0.1:${port}`, clientId: 'sightd-porch' })
  const before = megabytesInUse()
  for (let length = 1; length <= 1000; length++) {
    // What else a process does between two messages: it fills pools of buffers.
    for (let i = 0; i < 50; i++) Buffer.from('a small text that is gone at once'.repeat(10))
    expect(connection.publishNow({ topic: 'sightd/porch/result', payload: 'x'.repeat(length) })).toBe(true)
    // Lets the socket take it.
    if (length % 50 === 0) await new Promise(setImmediate)
  }
  const left = megabytesInUse() - before
  connection.destroy('the test is over')
  await connection.closed
  expect(left).toBeLessThan(4)
})
